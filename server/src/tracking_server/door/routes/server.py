"""What the server says about itself. Only these health and version routes are open to everybody."""

from tracking_server.api import server
from tracking_server.door.route import Action, Policy, Resource, Route, Stack, rest

NONE_OPEN = Policy(Resource.NONE, Action.OPEN)
SERVER_READ = Policy(Resource.SERVER, Action.READ)

ROUTES: tuple[Route, ...] = (
    Route(
        "server.health",
        ("GET",),
        ("/health",),
        NONE_OPEN,
        server.health,
        stack=Stack.BOTH,
        uses_database=False,
    ),
    Route("server.version", ("GET",), ("/version",), NONE_OPEN, server.version, uses_database=False),
    Route(
        "server.info",
        ("GET",),
        rest("server-info", "3.0"),
        SERVER_READ,
        server.info,
        stack=Stack.BOTH,
        uses_database=False,
    ),
)
