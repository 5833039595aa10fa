"""Experiments and their tags."""

from tracking_server.api import experiments
from tracking_server.door.route import Action, Policy, Resource, Route, ajax, rest

READ = Policy(Resource.EXPERIMENT, Action.READ)
SEARCH = Policy(Resource.EXPERIMENT, Action.SEARCH)
CREATE = Policy(Resource.EXPERIMENT, Action.CREATE)
UPDATE = Policy(Resource.EXPERIMENT, Action.UPDATE)
DELETE = Policy(Resource.EXPERIMENT, Action.DELETE)

ROUTES: tuple[Route, ...] = (
    Route("experiments.create", ("POST",), rest("experiments/create"), CREATE, experiments.create),
    Route("experiments.search", ("GET", "POST"), rest("experiments/search"), SEARCH, experiments.search),
    Route("experiments.get", ("GET",), rest("experiments/get"), READ, experiments.get),
    Route("experiments.get-by-name", ("GET",), rest("experiments/get-by-name"), READ, experiments.get_by_name),
    Route("experiments.update", ("POST",), rest("experiments/update"), UPDATE, experiments.update),
    Route("experiments.delete", ("POST",), rest("experiments/delete"), DELETE, experiments.delete),
    Route("experiments.restore", ("POST",), rest("experiments/restore"), DELETE, experiments.restore),
    Route("experiments.set-tag", ("POST",), rest("experiments/set-experiment-tag"), UPDATE, experiments.set_tag),
    Route(
        "experiments.delete-tag", ("POST",), rest("experiments/delete-experiment-tag"), UPDATE, experiments.delete_tag
    ),
    Route("experiments.search-datasets", ("POST",), ajax("experiments/search-datasets"), READ),
    # The same RPC under the path that stock derives for it without a slash; stock answers 404 there.
    Route(
        "experiments.search-datasets-unserved",
        ("POST",),
        ("/api/2.0mlflow/experiments/search-datasets", "/ajax-api/2.0mlflow/experiments/search-datasets"),
        READ,
    ),
)
