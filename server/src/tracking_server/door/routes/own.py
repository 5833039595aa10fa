"""What this server adds to MLflow's routes, all below ``/-/``, where stock has none."""

from tracking_server.api import server
from tracking_server.door.route import Action, Policy, Resource, Route, Stack

ROUTES: tuple[Route, ...] = (
    Route(
        "own.ready",
        ("GET",),
        ("/-/ready",),
        Policy(Resource.NONE, Action.OPEN),
        server.ready,
        stack=Stack.OWN,
        uses_database=False,
    ),
    Route(
        "own.metrics",
        ("GET",),
        ("/-/metrics",),
        Policy(Resource.SERVER, Action.READ),
        server.metrics,
        stack=Stack.OWN,
        uses_database=False,
    ),
)
