#!/usr/bin/env python3
"""A charm that uses a tracking server and shows what it got."""

from __future__ import annotations

import ops

from charms.mlflow_tracking_k8s.v0.tracking_server import TrackingServerRequirer

CA_FILE = "/etc/ssl/tracking-server.pem"
_SECRET = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


class TrackingConsumerCharm(ops.CharmBase):
    """Active with the tracking URI, as soon as there is one."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self._mlflow = TrackingServerRequirer(self)
        framework.observe(self.on.collect_unit_status, self._on_collect_status)
        framework.observe(self.on.get_tracking_server_action, self._on_get_tracking_server)

    def _on_collect_status(self, event: ops.CollectStatusEvent) -> None:
        server = self._mlflow.server
        if server is not None:
            event.add_status(ops.ActiveStatus(server.uri))
        elif self._mlflow.related:
            event.add_status(ops.WaitingStatus("waiting for a tracking URI"))
        else:
            event.add_status(ops.BlockedStatus("integrate tracking-server"))

    def _on_get_tracking_server(self, event: ops.ActionEvent) -> None:
        server = self._mlflow.server
        if server is None:
            event.fail("there is no tracking server yet")
            return
        variables = server.environment(ca_file=CA_FILE)
        results = {name.lower().replace("_", "-"): value for name, value in variables.items() if name not in _SECRET}
        event.set_results({**results, "ca-certificate": server.ca or ""})


if __name__ == "__main__":
    ops.main(TrackingConsumerCharm)
