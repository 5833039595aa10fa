"""The server's log for Loki: the consumer's side of ``loki_push_api``, over Pebble's log forwarding."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import ops

from relations import alert_rules
from relations.bucket import is_endpoint
from relations.databag import decoded, encoded, remote_units, write_for_application
from relations.topology import Topology

ENDPOINT = "logging"
RULES = Path(__file__).parents[1] / "loki_alert_rules"

LogTarget = Mapping[str, object]


class LogForwarding:
    """The endpoint ``logging``."""

    def __init__(self, charm: ops.CharmBase) -> None:
        self._charm = charm

    @property
    def targets(self) -> Mapping[str, LogTarget]:
        """Pebble's log targets by name: one for every unit of Loki that says where it listens.

        A target whose name is no longer here has to be written with the services "-all": Pebble's layers only add.
        """
        topology = Topology.of(self._charm)
        labels = {
            "product": "Juju",
            "charm": topology.charm_name,
            "job": f"juju_{topology.identifier}",
            **topology.application_labels,
            "juju_unit": topology.unit,
        }
        return {
            f"loki-{relation.id}-{unit.replace('/', '-')}": {
                "override": "replace",
                "type": "loki",
                "location": url,
                "services": ["all"],
                "labels": labels,
            }
            for relation in self._charm.model.relations[ENDPOINT]
            for unit, databag in remote_units(relation).items()
            if (url := _url(databag)) is not None
        }

    def publish(self) -> None:
        """Hands out the alerts that the log raises, as leader."""
        relations = self._charm.model.relations[ENDPOINT]
        if not relations or not self._charm.unit.is_leader():
            return
        topology = Topology.of(self._charm)
        contents = {
            "metadata": encoded(topology.metadata),
            "alert_rules": encoded(alert_rules.load(RULES, topology)),
        }
        for relation in relations:
            write_for_application(self._charm, relation, contents)


def _url(databag: Mapping[str, str]) -> str | None:
    content = decoded(databag.get("endpoint", ""))
    url = content.get("url") if isinstance(content, dict) else None
    return url if isinstance(url, str) and is_endpoint(url) else None
