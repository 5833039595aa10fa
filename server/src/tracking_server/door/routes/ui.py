"""The UI: its page, its files, and what it alone asks the server."""

from tracking_server.api import ui
from tracking_server.door.route import Action, Policy, Resource, Route, ajax

EXPERIMENT_CREATE = Policy(Resource.EXPERIMENT, Action.CREATE)
EXPERIMENT_DELETE = Policy(Resource.EXPERIMENT, Action.DELETE)
GRAPHQL_READ = Policy(Resource.GRAPHQL, Action.READ)
UI_READ = Policy(Resource.UI, Action.READ)
UI_UPDATE = Policy(Resource.UI, Action.UPDATE)

ROUTES: tuple[Route, ...] = (
    Route("ui.index", ("GET",), ("/",), UI_READ, handler=ui.index, uses_database=False),
    Route(
        "ui.static-files",
        ("GET",),
        ("/static-files/{path:path}",),
        UI_READ,
        handler=ui.static_file,
        uses_database=False,
    ),
    Route("ui.build-files", ("GET",), ("/build/{filename:path}",), UI_READ, handler=ui.build_file, uses_database=False),
    Route("ui.graphql", ("GET", "POST"), ("/graphql",), GRAPHQL_READ),
    Route("ui.get-telemetry", ("GET",), ajax("ui-telemetry", "3.0"), UI_READ),
    Route("ui.post-telemetry", ("POST",), ajax("ui-telemetry", "3.0"), UI_UPDATE),
    Route("ui.generate-demo", ("POST",), ajax("demo/generate", "3.0"), EXPERIMENT_CREATE),
    Route("ui.delete-demo", ("POST",), ajax("demo/delete", "3.0"), EXPERIMENT_DELETE),
)
