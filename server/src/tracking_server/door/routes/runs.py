"""Runs: their life, and everything that is logged to one."""

from tracking_server.door.route import Action, Policy, Resource, Route, ajax, rest

READ = Policy(Resource.RUN, Action.READ)
SEARCH = Policy(Resource.RUN, Action.SEARCH)
CREATE = Policy(Resource.RUN, Action.CREATE)
UPDATE = Policy(Resource.RUN, Action.UPDATE)
DELETE = Policy(Resource.RUN, Action.DELETE)

ROUTES: tuple[Route, ...] = (
    Route("runs.create", ("POST",), rest("runs/create"), CREATE),
    Route("runs.get", ("GET",), rest("runs/get"), READ),
    Route("runs.search", ("POST",), rest("runs/search"), SEARCH),
    Route("runs.update", ("POST",), rest("runs/update"), UPDATE),
    Route("runs.delete", ("POST",), rest("runs/delete"), DELETE),
    Route("runs.restore", ("POST",), rest("runs/restore"), DELETE),
    Route("runs.log-metric", ("POST",), rest("runs/log-metric"), UPDATE),
    Route("runs.log-parameter", ("POST",), rest("runs/log-parameter"), UPDATE),
    Route("runs.log-batch", ("POST",), rest("runs/log-batch"), UPDATE),
    Route("runs.log-model", ("POST",), rest("runs/log-model"), UPDATE),
    Route("runs.log-inputs", ("POST",), rest("runs/log-inputs"), UPDATE),
    Route("runs.log-outputs", ("POST",), rest("runs/outputs"), UPDATE),
    Route("runs.set-tag", ("POST",), rest("runs/set-tag"), UPDATE),
    Route("runs.delete-tag", ("POST",), rest("runs/delete-tag"), UPDATE),
    Route("runs.create-promptlab-run", ("POST",), ajax("runs/create-promptlab-run"), CREATE),
)
