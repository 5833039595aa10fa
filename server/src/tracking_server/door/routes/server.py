"""What the server says about itself. Only these health and version routes are open to everybody."""

from tracking_server.door.route import Action, Policy, Resource, Route, Stack, rest

NONE_OPEN = Policy(Resource.NONE, Action.OPEN)
SERVER_READ = Policy(Resource.SERVER, Action.READ)

ROUTES: tuple[Route, ...] = (
    Route("server.health", ("GET",), ("/health",), NONE_OPEN, stack=Stack.BOTH),
    Route("server.version", ("GET",), ("/version",), NONE_OPEN),
    Route("server.info", ("GET",), rest("server-info", "3.0"), SERVER_READ, stack=Stack.BOTH),
)
