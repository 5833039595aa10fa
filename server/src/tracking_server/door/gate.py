"""Whether native handlers may run in this process, or stock MLflow answers in their place."""

from __future__ import annotations

from tracking_server.config import Config, DatabaseKind
from tracking_server.door.route import Resource, Route
from tracking_server.errors import Unavailable
from tracking_server.store.schema import Schema

_REGISTRY = (Resource.REGISTERED_MODEL, Resource.MODEL_VERSION)


class NativeGate:
    """Closed until the database's schema is known; then open for good, or forwarding for good."""

    def __init__(self, config: Config) -> None:
        self._registry_is_separate = config.database.registry_is_separate
        self._has_driver = config.database.kind is not DatabaseKind.OTHER
        self.schema: Schema | None = None

    def forward_reason(self, route: Route) -> str | None:
        """Why a native ``route`` is forwarded (a short fixed word), or None. Raises Unavailable before it is known."""
        if route.handler is None:
            return "route"
        if not route.uses_database:
            return None
        if not self._has_driver:
            return "database-kind"
        if self._registry_is_separate and route.policy.resource in _REGISTRY:
            return "registry-uri"
        if self.schema is None:
            raise Unavailable("The database is not reachable yet")
        return None if self.schema.native else "schema"
