"""Workspaces: which there are, and who makes them."""

from tracking_server.door.route import Action, Policy, Resource, Route, rest

READ = Policy(Resource.WORKSPACE, Action.READ)
SEARCH = Policy(Resource.WORKSPACE, Action.SEARCH)
ADMINISTER = Policy(Resource.WORKSPACE, Action.ADMINISTER)

ROUTES: tuple[Route, ...] = (
    Route("workspaces.list", ("GET",), rest("workspaces", "3.0"), SEARCH),
    Route("workspaces.get", ("GET",), rest("workspaces/{workspace_name}", "3.0"), READ),
    Route("workspaces.create", ("POST",), rest("workspaces", "3.0"), ADMINISTER),
    Route("workspaces.update", ("PATCH",), rest("workspaces/{workspace_name}", "3.0"), ADMINISTER),
    Route("workspaces.delete", ("DELETE",), rest("workspaces/{workspace_name}", "3.0"), ADMINISTER),
)
