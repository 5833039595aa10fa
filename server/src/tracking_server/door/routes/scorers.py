"""Scorers, online scoring and evaluation."""

from tracking_server.door.route import Action, Policy, Resource, Route, ajax, rest

READ = Policy(Resource.SCORER, Action.READ)
SEARCH = Policy(Resource.SCORER, Action.SEARCH)
CREATE = Policy(Resource.SCORER, Action.CREATE)
UPDATE = Policy(Resource.SCORER, Action.UPDATE)
DELETE = Policy(Resource.SCORER, Action.DELETE)
EXECUTE = Policy(Resource.SCORER, Action.EXECUTE)

ROUTES: tuple[Route, ...] = (
    Route("scorers.register", ("POST",), rest("scorers/register", "3.0"), CREATE),
    Route("scorers.list", ("GET",), rest("scorers/list", "3.0"), SEARCH),
    Route("scorers.list-versions", ("GET",), rest("scorers/versions", "3.0"), READ),
    Route("scorers.get", ("GET",), rest("scorers/get", "3.0"), READ),
    Route("scorers.delete", ("DELETE",), rest("scorers/delete", "3.0"), DELETE),
    Route("scorers.get-online-configs", ("GET",), rest("scorers/online-configs", "3.0"), SEARCH),
    Route("scorers.upsert-online-config", ("PUT",), rest("scorers/online-config", "3.0"), UPDATE, needs_jobs=True),
    Route("scorers.invoke", ("POST",), ajax("scorer/invoke", "3.0"), EXECUTE, needs_jobs=True),
    Route("scorers.invoke-evaluation", ("POST",), ajax("genai/evaluate/invoke", "3.0"), EXECUTE, needs_jobs=True),
)
