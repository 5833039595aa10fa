"""A dashboard for Grafana: the provider's side of ``grafana_dashboard``."""

from __future__ import annotations

import base64
import hashlib
import json
import lzma
import uuid
from pathlib import Path

import ops

from relations.databag import encoded, write_for_application
from relations.topology import Topology

ENDPOINT = "grafana-dashboard"
DASHBOARDS = Path(__file__).parents[1] / "grafana_dashboards"


class Dashboards:
    """The endpoint ``grafana-dashboard``."""

    def __init__(self, charm: ops.CharmBase) -> None:
        self._charm = charm

    def publish(self) -> None:
        """Hands out every dashboard of the folder, as leader."""
        relations = self._charm.model.relations[ENDPOINT]
        if not relations or not self._charm.unit.is_leader():
            return
        templates = {f"file:{path.stem}": self._template(path) for path in sorted(DASHBOARDS.glob("*.json"))}
        # Grafana's charm wants an id that changes with the content.
        contents = {"templates": templates, "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, encoded(templates)))}
        for relation in relations:
            write_for_application(self._charm, relation, {"dashboards": encoded(contents)})

    def _template(self, path: Path) -> dict[str, object]:
        charm_name = self._charm.meta.name
        # 40 digits are what Grafana bears, and what its charm takes for a uid that needs no replacing.
        uid = hashlib.shake_256(f"{charm_name}-file:{path.stem}".encode()).hexdigest(20)
        dashboard = {**json.loads(path.read_text()), "uid": uid}
        topology = {name: value for name, value in Topology.of(self._charm).metadata.items() if name != "charm_name"}
        return {
            "charm": charm_name,
            "content": base64.b64encode(lzma.compress(encoded(dashboard).encode())).decode(),
            "dashboard_alt_uid": uid,
            "inject_dropdowns": True,
            "juju_topology": topology,
        }
