"""Issues found in traces, and their detection."""

from tracking_server.door.route import Action, Policy, Resource, Route, ajax, rest

READ = Policy(Resource.ISSUE, Action.READ)
SEARCH = Policy(Resource.ISSUE, Action.SEARCH)
CREATE = Policy(Resource.ISSUE, Action.CREATE)
UPDATE = Policy(Resource.ISSUE, Action.UPDATE)
EXECUTE = Policy(Resource.ISSUE, Action.EXECUTE)

ROUTES: tuple[Route, ...] = (
    Route("issues.create", ("POST",), rest("issues", "3.0"), CREATE),
    Route("issues.get", ("GET",), rest("issues/{issue_id}", "3.0"), READ),
    Route("issues.search", ("POST",), rest("issues/search", "3.0"), SEARCH),
    Route("issues.update", ("PATCH",), rest("issues/{issue_id}", "3.0"), UPDATE),
    Route("issues.invoke-detection", ("POST",), ajax("issues/invoke", "3.0"), EXECUTE, needs_jobs=True),
)
