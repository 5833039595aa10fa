"""Whether native handlers may run in this process, or stock MLflow answers in their place."""

from __future__ import annotations

from collections.abc import Mapping

from tracking_server.config import Config, DatabaseKind
from tracking_server.door.route import Resource, Route
from tracking_server.errors import Unavailable
from tracking_server.store.schema import Schema

_REGISTRY = (Resource.REGISTERED_MODEL, Resource.MODEL_VERSION)

# Options of stock MLflow that change what native handlers would answer, or who may ask.
_CHANGING_ARGUMENTS = (
    *("--app-name", "--artifacts-only", "--enable-workspaces", "--workspace-store-uri", "--trace-archival-config"),
    *("--backend-store-uri", "--registry-store-uri", "--read-replica-backend-store-uri", "--default-artifact-root"),
    *("--artifacts-destination", "--serve-artifacts", "--no-serve-artifacts", "--static-prefix", "--env-file"),
)
_CHANGING_VARIABLES = (
    *("MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH", "MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX"),
    *("MLFLOW_ENABLE_WORKSPACES", "MLFLOW_SQL_TRACE_ROLLUPS_ENABLED", "MLFLOW_TRACE_ARCHIVAL_CONFIG"),
    *("MLFLOW_TRUNCATE_LONG_VALUES", "MLFLOW_WORKSPACE_STORE_URI"),
)


def changing_options(config: Config, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The arguments and variables given to stock MLflow under which everything has to be forwarded."""
    arguments = [argument for argument in config.stock.arguments if argument.partition("=")[0] in _CHANGING_ARGUMENTS]
    variables = [name for name in _CHANGING_VARIABLES if {**environment, **config.stock.environment.reveal()}.get(name)]
    return (*arguments, *variables)


class NativeGate:
    """Closed until the database's schema is known; then open for good, or forwarding for good."""

    def __init__(self, config: Config, environment: Mapping[str, str]) -> None:
        self._changed = bool(changing_options(config, environment))
        self._registry_is_separate = config.database.registry_is_separate
        self._has_driver = config.database.kind is not DatabaseKind.OTHER
        self.schema: Schema | None = None

    def forward_reason(self, route: Route) -> str | None:
        """Why a native ``route`` is forwarded (a short fixed word), or None. Raises Unavailable before it is known."""
        if self.schema is None and self._has_driver and route.uses_database:
            # Stock needs the database as well, and is started when it is there.
            raise Unavailable("The database is not reachable yet")
        if route.handler is None:
            return "route"
        if self._changed and route.policy.resource is not Resource.NONE:
            return "stock-option"
        if not route.uses_database:
            return None
        if not self._has_driver:
            return "database-kind"
        if self._registry_is_separate and route.policy.resource in _REGISTRY:
            return "registry-uri"
        return None if self.schema is not None and self.schema.native else "schema"
