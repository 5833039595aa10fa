"""Charms that use this server: the provider's side of ``mlflow_tracking``, through the library that they use."""

from __future__ import annotations

import ops

from charms.mlflow_tracking_k8s.v0.tracking_server import TrackingServerProvider

ENDPOINT = "tracking-server"


class Consumers:
    """The endpoint ``tracking-server``."""

    def __init__(self, charm: ops.CharmBase) -> None:
        self._provider = TrackingServerProvider(charm, ENDPOINT)

    def publish(self, uri: str | None, ca: str | None) -> None:
        """Tells every consumer, as leader, the tracking URI and the authority to trust; None: it cannot be used."""
        self._provider.publish(uri, ca)
