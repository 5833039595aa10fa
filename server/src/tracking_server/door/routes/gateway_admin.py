"""The AI gateway's configuration: secrets, endpoints, model definitions, budgets, guardrails."""

from tracking_server.door.route import Action, Policy, Resource, Route, ajax, rest

GATEWAY_READ = Policy(Resource.GATEWAY, Action.READ)
GATEWAY_SEARCH = Policy(Resource.GATEWAY, Action.SEARCH)
GATEWAY_CREATE = Policy(Resource.GATEWAY, Action.CREATE)
GATEWAY_UPDATE = Policy(Resource.GATEWAY, Action.UPDATE)
GATEWAY_DELETE = Policy(Resource.GATEWAY, Action.DELETE)
GATEWAY_ADMINISTER = Policy(Resource.GATEWAY, Action.ADMINISTER)
GATEWAY_SECRET_READ = Policy(Resource.GATEWAY_SECRET, Action.READ)
GATEWAY_SECRET_SEARCH = Policy(Resource.GATEWAY_SECRET, Action.SEARCH)
GATEWAY_SECRET_ADMINISTER = Policy(Resource.GATEWAY_SECRET, Action.ADMINISTER)

ROUTES: tuple[Route, ...] = (
    Route("gateway-secrets.create", ("POST",), rest("gateway/secrets/create", "3.0"), GATEWAY_SECRET_ADMINISTER),
    Route("gateway-secrets.get", ("GET",), rest("gateway/secrets/get", "3.0"), GATEWAY_SECRET_READ),
    Route("gateway-secrets.update", ("POST",), rest("gateway/secrets/update", "3.0"), GATEWAY_SECRET_ADMINISTER),
    Route("gateway-secrets.delete", ("DELETE",), rest("gateway/secrets/delete", "3.0"), GATEWAY_SECRET_ADMINISTER),
    Route("gateway-secrets.list", ("GET",), rest("gateway/secrets/list", "3.0"), GATEWAY_SECRET_SEARCH),
    Route("gateway-secrets.get-config", ("GET",), ajax("gateway/secrets/config", "3.0"), GATEWAY_SECRET_READ),
    Route("gateway-endpoints.create", ("POST",), rest("gateway/endpoints/create", "3.0"), GATEWAY_CREATE),
    Route("gateway-endpoints.get", ("GET",), rest("gateway/endpoints/get", "3.0"), GATEWAY_READ),
    Route("gateway-endpoints.update", ("POST",), rest("gateway/endpoints/update", "3.0"), GATEWAY_UPDATE),
    Route("gateway-endpoints.delete", ("DELETE",), rest("gateway/endpoints/delete", "3.0"), GATEWAY_DELETE),
    Route("gateway-endpoints.list", ("GET",), rest("gateway/endpoints/list", "3.0"), GATEWAY_SEARCH),
    Route("gateway-endpoints.attach-model", ("POST",), rest("gateway/endpoints/models/attach", "3.0"), GATEWAY_UPDATE),
    Route("gateway-endpoints.detach-model", ("POST",), rest("gateway/endpoints/models/detach", "3.0"), GATEWAY_UPDATE),
    Route(
        "gateway-endpoints.create-binding", ("POST",), rest("gateway/endpoints/bindings/create", "3.0"), GATEWAY_UPDATE
    ),
    Route(
        "gateway-endpoints.delete-binding",
        ("DELETE",),
        rest("gateway/endpoints/bindings/delete", "3.0"),
        GATEWAY_UPDATE,
    ),
    Route("gateway-endpoints.list-bindings", ("GET",), rest("gateway/endpoints/bindings/list", "3.0"), GATEWAY_SEARCH),
    Route("gateway-endpoints.set-tag", ("POST",), rest("gateway/endpoints/set-tag", "3.0"), GATEWAY_UPDATE),
    Route("gateway-endpoints.delete-tag", ("DELETE",), rest("gateway/endpoints/delete-tag", "3.0"), GATEWAY_UPDATE),
    Route(
        "gateway-model-definitions.create", ("POST",), rest("gateway/model-definitions/create", "3.0"), GATEWAY_CREATE
    ),
    Route("gateway-model-definitions.get", ("GET",), rest("gateway/model-definitions/get", "3.0"), GATEWAY_READ),
    Route("gateway-model-definitions.list", ("GET",), rest("gateway/model-definitions/list", "3.0"), GATEWAY_SEARCH),
    Route(
        "gateway-model-definitions.update", ("POST",), rest("gateway/model-definitions/update", "3.0"), GATEWAY_UPDATE
    ),
    Route(
        "gateway-model-definitions.delete", ("DELETE",), rest("gateway/model-definitions/delete", "3.0"), GATEWAY_DELETE
    ),
    Route("gateway-budgets.create", ("POST",), rest("gateway/budgets/create", "3.0"), GATEWAY_ADMINISTER),
    Route("gateway-budgets.get", ("GET",), rest("gateway/budgets/get", "3.0"), GATEWAY_READ),
    Route("gateway-budgets.update", ("POST",), rest("gateway/budgets/update", "3.0"), GATEWAY_ADMINISTER),
    Route("gateway-budgets.delete", ("DELETE",), rest("gateway/budgets/delete", "3.0"), GATEWAY_ADMINISTER),
    Route("gateway-budgets.list", ("GET",), rest("gateway/budgets/list", "3.0"), GATEWAY_READ),
    Route("gateway-budgets.list-windows", ("GET",), rest("gateway/budgets/windows", "3.0"), GATEWAY_READ),
    Route("gateway-guardrails.create", ("POST",), rest("gateway/guardrails/create", "3.0"), GATEWAY_ADMINISTER),
    Route("gateway-guardrails.get", ("GET",), rest("gateway/guardrails/get", "3.0"), GATEWAY_ADMINISTER),
    Route("gateway-guardrails.delete", ("DELETE",), rest("gateway/guardrails/delete", "3.0"), GATEWAY_ADMINISTER),
    Route("gateway-guardrails.list", ("GET",), rest("gateway/guardrails/list", "3.0"), GATEWAY_ADMINISTER),
    Route(
        "gateway-guardrails.add-to-endpoint",
        ("POST",),
        rest("gateway/guardrails/add-to-endpoint", "3.0"),
        GATEWAY_UPDATE,
    ),
    Route(
        "gateway-guardrails.remove-from-endpoint",
        ("DELETE",),
        rest("gateway/guardrails/remove-from-endpoint", "3.0"),
        GATEWAY_UPDATE,
    ),
    Route(
        "gateway-guardrails.list-for-endpoint",
        ("GET",),
        rest("gateway/guardrails/list-for-endpoint", "3.0"),
        GATEWAY_READ,
    ),
    Route(
        "gateway-guardrails.update-config", ("PATCH",), rest("gateway/guardrails/update-config", "3.0"), GATEWAY_UPDATE
    ),
    Route("gateway.list-supported-providers", ("GET",), ajax("gateway/supported-providers", "3.0"), GATEWAY_READ),
    Route("gateway.list-supported-models", ("GET",), ajax("gateway/supported-models", "3.0"), GATEWAY_READ),
    Route("gateway.get-provider-config", ("GET",), ajax("gateway/provider-config", "3.0"), GATEWAY_READ),
)
