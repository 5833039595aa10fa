#!/usr/bin/env python3
"""A charm that shows what it sees."""

from __future__ import annotations

import os

import ops


class TinyCharm(ops.CharmBase):
    """Notes its events with the peers, and what its workload is."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        container = self.on["workload"]
        framework.observe(container.pebble_ready, self._on_pebble_ready)
        framework.observe(container.pebble_custom_notice, self._on_notice)
        framework.observe(self.on.config_changed, self._on_config_changed)
        framework.observe(self.on.collect_unit_status, self._on_collect_status)

    def _on_pebble_ready(self, event: ops.PebbleReadyEvent) -> None:
        event.workload.push("/etc/tiny/file", "content", permissions=0o600)
        event.workload.push("/data/kept", "content")

    def _on_notice(self, event: ops.PebbleCustomNoticeEvent) -> None:
        self._note("notice", event.notice.key)

    def _on_config_changed(self, _: ops.EventBase) -> None:
        self._note("fail", str(self.config["fail"]))
        if self.config["fail"]:
            raise RuntimeError("told to fail")

    def _on_collect_status(self, event: ops.CollectStatusEvent) -> None:
        event.add_status(ops.ActiveStatus(f"charm runs as {os.getuid()}"))

    def _note(self, key: str, value: str) -> None:
        peers = self.model.get_relation("peers")
        if peers is not None:
            peers.data[self.unit][key] = value


if __name__ == "__main__":
    ops.main(TinyCharm)
