"""The histories of metrics; they belong to their runs."""

from tracking_server.api import metrics
from tracking_server.door.route import Action, Policy, Resource, Route, ajax, rest

READ = Policy(Resource.RUN, Action.READ)

ROUTES: tuple[Route, ...] = (
    Route("metrics.get-history", ("GET",), rest("metrics/get-history"), READ, metrics.get_history),
    Route("metrics.get-history-bulk", ("GET",), ajax("metrics/get-history-bulk"), READ, metrics.get_history_bulk),
    Route(
        "metrics.get-history-bulk-interval",
        ("GET",),
        rest("metrics/get-history-bulk-interval"),
        READ,
        metrics.get_history_bulk_interval,
    ),
)
