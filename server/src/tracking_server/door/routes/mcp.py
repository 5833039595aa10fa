"""The registry of MCP servers. Names may hold slashes, so templates overlap and the order is stock's."""

from tracking_server.door.route import Action, Policy, Resource, Route, Stack


def _mcp(path: str) -> tuple[str, str]:
    return (f"/api/3.0/mlflow/mcp-servers{path}", f"/ajax-api/3.0/mlflow/mcp-servers{path}")


READ = Policy(Resource.MCP_SERVER, Action.READ)
SEARCH = Policy(Resource.MCP_SERVER, Action.SEARCH)
CREATE = Policy(Resource.MCP_SERVER, Action.CREATE)
UPDATE = Policy(Resource.MCP_SERVER, Action.UPDATE)
DELETE = Policy(Resource.MCP_SERVER, Action.DELETE)

ROUTES: tuple[Route, ...] = (
    Route("mcp-servers.create", ("POST",), _mcp(""), CREATE, stack=Stack.FASTAPI),
    Route("mcp-servers.search", ("GET",), _mcp(""), SEARCH, stack=Stack.FASTAPI),
    Route("mcp-servers.search-all-endpoints", ("GET",), _mcp("/endpoints"), SEARCH, stack=Stack.FASTAPI),
    Route(
        "mcp-servers.set-version-tag",
        ("POST",),
        _mcp("/{name:path}/versions/{version:path}/tags"),
        UPDATE,
        stack=Stack.FASTAPI,
    ),
    Route(
        "mcp-servers.delete-version-tag",
        ("DELETE",),
        _mcp("/{name:path}/versions/{version:path}/tags/{key:path}"),
        UPDATE,
        stack=Stack.FASTAPI,
    ),
    Route("mcp-servers.get-version", ("GET",), _mcp("/{name:path}/versions/{version:path}"), READ, stack=Stack.FASTAPI),
    Route(
        "mcp-servers.update-version",
        ("PATCH",),
        _mcp("/{name:path}/versions/{version:path}"),
        UPDATE,
        stack=Stack.FASTAPI,
    ),
    Route(
        "mcp-servers.delete-version",
        ("DELETE",),
        _mcp("/{name:path}/versions/{version:path}"),
        DELETE,
        stack=Stack.FASTAPI,
    ),
    Route("mcp-servers.create-version", ("POST",), _mcp("/{name:path}/versions"), UPDATE, stack=Stack.FASTAPI),
    Route("mcp-servers.search-versions", ("GET",), _mcp("/{name:path}/versions"), READ, stack=Stack.FASTAPI),
    Route("mcp-servers.create-endpoint", ("POST",), _mcp("/{name:path}/endpoints"), UPDATE, stack=Stack.FASTAPI),
    Route(
        "mcp-servers.get-endpoint", ("GET",), _mcp("/{name:path}/endpoints/{endpoint_id}"), READ, stack=Stack.FASTAPI
    ),
    Route(
        "mcp-servers.update-endpoint",
        ("PATCH",),
        _mcp("/{name:path}/endpoints/{endpoint_id}"),
        UPDATE,
        stack=Stack.FASTAPI,
    ),
    Route(
        "mcp-servers.delete-endpoint",
        ("DELETE",),
        _mcp("/{name:path}/endpoints/{endpoint_id}"),
        DELETE,
        stack=Stack.FASTAPI,
    ),
    Route("mcp-servers.search-endpoints", ("GET",), _mcp("/{name:path}/endpoints"), READ, stack=Stack.FASTAPI),
    Route("mcp-servers.set-tag", ("POST",), _mcp("/{name:path}/tags"), UPDATE, stack=Stack.FASTAPI),
    Route("mcp-servers.delete-tag", ("DELETE",), _mcp("/{name:path}/tags/{key:path}"), UPDATE, stack=Stack.FASTAPI),
    Route("mcp-servers.set-alias", ("POST",), _mcp("/{name:path}/aliases"), UPDATE, stack=Stack.FASTAPI),
    Route(
        "mcp-servers.get-version-by-alias",
        ("GET",),
        _mcp("/{name:path}/aliases/{alias:path}"),
        READ,
        stack=Stack.FASTAPI,
    ),
    Route(
        "mcp-servers.delete-alias", ("DELETE",), _mcp("/{name:path}/aliases/{alias:path}"), UPDATE, stack=Stack.FASTAPI
    ),
    Route("mcp-servers.get", ("GET",), _mcp("/{name:path}"), READ, stack=Stack.FASTAPI),
    Route("mcp-servers.update", ("PATCH",), _mcp("/{name:path}"), UPDATE, stack=Stack.FASTAPI),
    Route("mcp-servers.delete", ("DELETE",), _mcp("/{name:path}"), DELETE, stack=Stack.FASTAPI),
)
