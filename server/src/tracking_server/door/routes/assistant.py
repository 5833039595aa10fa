"""The UI's assistant: it runs commands where the server runs, so using it is EXECUTE."""

from tracking_server.door.route import Action, Policy, Resource, Route, Stack, ajax


def _assistant(path: str) -> tuple[str]:
    return ajax(f"assistant/{path}", "3.0")


READ = Policy(Resource.ASSISTANT, Action.READ)
EXECUTE = Policy(Resource.ASSISTANT, Action.EXECUTE)
ADMINISTER = Policy(Resource.ASSISTANT, Action.ADMINISTER)

ROUTES: tuple[Route, ...] = (
    Route("assistant.send-message", ("POST",), _assistant("message"), EXECUTE, stack=Stack.FASTAPI),
    Route("assistant.stream", ("GET",), _assistant("sessions/{session_id}/stream"), EXECUTE, stack=Stack.FASTAPI),
    Route("assistant.patch-session", ("PATCH",), _assistant("sessions/{session_id}"), EXECUTE, stack=Stack.FASTAPI),
    Route(
        "assistant.resolve-permission",
        ("POST",),
        _assistant("sessions/{session_id}/permission"),
        EXECUTE,
        stack=Stack.FASTAPI,
    ),
    Route(
        "assistant.resolve-tool-result",
        ("POST",),
        _assistant("sessions/{session_id}/tool-result"),
        EXECUTE,
        stack=Stack.FASTAPI,
    ),
    Route(
        "assistant.check-provider", ("GET",), _assistant("providers/{provider}/health"), EXECUTE, stack=Stack.FASTAPI
    ),
    Route("assistant.list-providers", ("GET",), _assistant("providers"), READ, stack=Stack.FASTAPI),
    Route(
        "assistant.list-provider-models",
        ("GET",),
        _assistant("providers/{provider}/models"),
        EXECUTE,
        stack=Stack.FASTAPI,
    ),
    Route("assistant.get-config", ("GET",), _assistant("config"), READ, stack=Stack.FASTAPI),
    Route("assistant.update-config", ("PUT",), _assistant("config"), ADMINISTER, stack=Stack.FASTAPI),
    Route("assistant.install-skills", ("POST",), _assistant("skills/install"), ADMINISTER, stack=Stack.FASTAPI),
)
