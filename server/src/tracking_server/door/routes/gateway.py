"""The AI gateway in use: calls to models, which cost money. The order is stock's, since templates overlap."""

from tracking_server.door.route import Action, Policy, Resource, Route, Stack, ajax

SEARCH = Policy(Resource.GATEWAY, Action.SEARCH)
EXECUTE = Policy(Resource.GATEWAY, Action.EXECUTE)

ROUTES: tuple[Route, ...] = (
    Route("gateway.invoke", ("POST",), ("/gateway/{endpoint_name}/mlflow/invocations",), EXECUTE, stack=Stack.FASTAPI),
    Route(
        "gateway.chat-completions", ("POST",), ("/gateway/mlflow/v1/chat/completions",), EXECUTE, stack=Stack.FASTAPI
    ),
    Route("gateway.list-models", ("GET",), ("/gateway/mlflow/v1/models",), SEARCH, stack=Stack.FASTAPI),
    Route("gateway.openai-chat", ("POST",), ("/gateway/openai/v1/chat/completions",), EXECUTE, stack=Stack.FASTAPI),
    Route("gateway.openai-embeddings", ("POST",), ("/gateway/openai/v1/embeddings",), EXECUTE, stack=Stack.FASTAPI),
    Route("gateway.typesafe-system-one", ("POST",), ("/gateway/typesafe/v1/systemone",), EXECUTE, stack=Stack.FASTAPI),
    Route("gateway.openai-responses", ("POST",), ("/gateway/openai/v1/responses",), EXECUTE, stack=Stack.FASTAPI),
    Route(
        "gateway.openai-responses-compact",
        ("POST",),
        ("/gateway/openai/v1/responses/compact",),
        EXECUTE,
        stack=Stack.FASTAPI,
    ),
    Route("gateway.anthropic-messages", ("POST",), ("/gateway/anthropic/v1/messages",), EXECUTE, stack=Stack.FASTAPI),
    Route(
        "gateway.gemini-generate",
        ("POST",),
        ("/gateway/gemini/v1beta/models/{endpoint_name}:generateContent",),
        EXECUTE,
        stack=Stack.FASTAPI,
    ),
    Route(
        "gateway.gemini-stream",
        ("POST",),
        ("/gateway/gemini/v1beta/models/{endpoint_name}:streamGenerateContent",),
        EXECUTE,
        stack=Stack.FASTAPI,
    ),
    Route(
        "gateway.raw-proxy", ("POST",), ("/gateway/proxy/{endpoint_name}/{path:path}",), EXECUTE, stack=Stack.FASTAPI
    ),
    Route("gateway.legacy-proxy", ("GET", "POST"), ajax("gateway-proxy"), EXECUTE),
)
