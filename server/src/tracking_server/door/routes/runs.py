"""Runs: their life, and everything that is logged to one."""

from tracking_server.api import run_inputs, run_log, runs
from tracking_server.door.route import Action, Policy, Resource, Route, ajax, rest

READ = Policy(Resource.RUN, Action.READ)
SEARCH = Policy(Resource.RUN, Action.SEARCH)
CREATE = Policy(Resource.RUN, Action.CREATE)
UPDATE = Policy(Resource.RUN, Action.UPDATE)
DELETE = Policy(Resource.RUN, Action.DELETE)

ROUTES: tuple[Route, ...] = (
    Route("runs.create", ("POST",), rest("runs/create"), CREATE, runs.create),
    Route("runs.get", ("GET",), rest("runs/get"), READ, runs.get),
    Route("runs.search", ("POST",), rest("runs/search"), SEARCH, runs.search),
    Route("runs.update", ("POST",), rest("runs/update"), UPDATE, runs.update),
    Route("runs.delete", ("POST",), rest("runs/delete"), DELETE, runs.delete),
    Route("runs.restore", ("POST",), rest("runs/restore"), DELETE, runs.restore),
    Route("runs.log-metric", ("POST",), rest("runs/log-metric"), UPDATE, run_log.log_metric),
    Route("runs.log-parameter", ("POST",), rest("runs/log-parameter"), UPDATE, run_log.log_param),
    Route("runs.log-batch", ("POST",), rest("runs/log-batch"), UPDATE, run_log.log_batch),
    Route("runs.log-model", ("POST",), rest("runs/log-model"), UPDATE),
    Route("runs.log-inputs", ("POST",), rest("runs/log-inputs"), UPDATE, run_inputs.log_inputs),
    Route("runs.log-outputs", ("POST",), rest("runs/outputs"), UPDATE, run_inputs.log_outputs),
    Route("runs.set-tag", ("POST",), rest("runs/set-tag"), UPDATE, run_log.set_tag),
    Route("runs.delete-tag", ("POST",), rest("runs/delete-tag"), UPDATE, runs.delete_tag),
    Route("runs.create-promptlab-run", ("POST",), ajax("runs/create-promptlab-run"), CREATE),
)
