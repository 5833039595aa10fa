"""Metrics for Prometheus: the provider's side of ``prometheus_scrape``."""

from __future__ import annotations

from pathlib import Path

import ops

import hosts
from relations import addresses, alert_rules
from relations.databag import encoded, write, write_for_application
from relations.topology import Topology

ENDPOINT = "metrics-endpoint"
RULES = Path(__file__).parents[1] / "prometheus_alert_rules"


class Metrics:
    """The endpoint ``metrics-endpoint``."""

    def __init__(self, charm: ops.CharmBase) -> None:
        self._charm = charm

    def publish(self, port: int, scheme: str, path: str = "/-/metrics", *, ca: str | None = None) -> None:
        """Says where each unit's metrics are and, as leader, which alerts they raise.

        ``ca`` is the PEM by which the units' certificates are verified; without it Prometheus uses its own.
        """
        relations = self._charm.model.relations[ENDPOINT]
        if not relations:
            return
        topology = Topology.of(self._charm)
        application = {
            "scrape_metadata": encoded(topology.metadata),
            "scrape_jobs": encoded([self._job(port, scheme, path, ca)]),
            "alert_rules": encoded(alert_rules.load(RULES, topology)),
        }
        for relation in relations:
            write_for_application(self._charm, relation, application)
            address, name = addresses.address(self._charm, relation), addresses.name()
            own = {
                # Prometheus's charm appends the port to it as it is, which an IPv6 address does not bear.
                "prometheus_scrape_unit_address": address if address and addresses.is_ipv4(address) else name,
                "prometheus_scrape_unit_name": self._charm.unit.name,
                "prometheus_scrape_unit_fqdn": name,
            }
            write(relation.data[self._charm.unit], own)

    def _job(self, port: int, scheme: str, path: str, ca: str | None) -> dict[str, object]:
        job: dict[str, object] = {
            "metrics_path": path,
            "scheme": scheme,
            "static_configs": [{"targets": [f"*:{port}"]}],
        }
        if scheme == "https":
            # Units are scraped by address, which their certificates do not name.
            tls = {"server_name": hosts.service_name(self._charm.app.name, self._charm.model.name)}
            job["tls_config"] = tls if ca is None else {**tls, "ca_file": ca}
        return job
