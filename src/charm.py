#!/usr/bin/env python3
"""The charm: one table of its parts, one reconciler for every event, one place for statuses."""

from __future__ import annotations

import logging
from itertools import chain

import ops

import cluster
import hosts
import statuses
from actions import Actions
from charm_config import CharmConfig, ConfigError, environment_of
from cluster import Cluster, ClusterError, ClusterForbidden, ClusterSettings, ClusterUnavailable
from endpoints import Endpoints
from server_config import PORT
from unit_server import Options, Outcome, Server
from workload import CONTAINER, Workload, WorkloadError

logger = logging.getLogger(__name__)


class MlflowTrackingCharm(ops.CharmBase):
    """Runs the tracking server on PostgreSQL and S3, or by itself."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self._tracing = ops.tracing.Tracing(self, "tracing", ca_relation_name="receive-ca-cert")
        self._endpoints = Endpoints.of(self, self._certificate_names)
        self._workload = Workload(self.unit.get_container(CONTAINER))
        self._server = Server(self, self._workload, self._endpoints)
        self._cluster = Cluster(self.app.name, self.model.name, cluster.in_cluster_client)
        self._actions = Actions(self, self._server, self._endpoints, self._load_options, self._reconcile)
        self._statuses: list[ops.StatusBase] = []

        for event in self._events_to_reconcile():
            framework.observe(event, self._on_event)
        framework.observe(self.on.remove, self._on_remove)
        framework.observe(self.on.collect_unit_status, self._on_collect_unit_status)

    def _events_to_reconcile(self) -> list[ops.BoundEvent]:
        """Every event after which something may differ. Not stop and remove: what they end is Juju's to end."""
        container = self.on[CONTAINER]
        relations = chain(self.meta.requires, self.meta.provides, self.meta.peers)
        return [
            self.on.install,
            self.on.start,
            self.on.config_changed,
            self.on.upgrade_charm,
            self.on.leader_elected,
            self.on.update_status,
            self.on.secret_changed,
            self.on["data"].storage_attached,
            container.pebble_ready,
            container.pebble_check_failed,
            container.pebble_check_recovered,
            *chain.from_iterable(
                (
                    self.on[name].relation_created,
                    self.on[name].relation_joined,
                    self.on[name].relation_changed,
                    self.on[name].relation_departed,
                    self.on[name].relation_broken,
                )
                for name in relations
            ),
        ]

    def _on_event(self, _: ops.EventBase) -> None:
        self._reconcile()

    def _reconcile(self) -> None:
        """Reads what there is, computes what should be, and writes what differs."""
        self._statuses = []
        self._ask()
        try:
            options = self._load_options()
        except ConfigError as error:
            # The server goes on as it was configured last.
            self._statuses.append(statuses.bad_config(str(error)))
            return
        self._shape_cluster(options.config)
        self._report_relations()
        if not self._workload.reachable:
            self._statuses.append(statuses.no_container())
            return
        self._say_version()
        outcome = self._server.converge(options)
        self._statuses += outcome.statuses
        self._publish(outcome)

    def _load_options(self) -> Options:
        config = self.load_config(CharmConfig)
        return Options(config, environment_of(config.stock_environment))

    def _ask(self) -> None:
        """Asks the other charms for what we need."""
        self._endpoints.database.request()
        self._endpoints.object_storage.request()
        self._endpoints.trusted_authorities.request()

    def _report_relations(self) -> None:
        """Says what is wrong with relations that the server can do without; the others are the server's to judge."""
        ingress, certificates = self._endpoints.ingress, self._endpoints.certificates
        for endpoint in (ingress, certificates):
            if endpoint.problem is not None:
                self._statuses.append(statuses.integration(endpoint.problem, waiting=endpoint.waiting))
        authorities = self._endpoints.trusted_authorities.problem
        if authorities is not None:
            self._statuses.append(statuses.integration(authorities, waiting=False))

    def _publish(self, outcome: Outcome) -> None:
        """Tells the other charms what we offer."""
        endpoints = self._endpoints
        certificate = endpoints.certificates.certificate
        scheme = "https" if endpoints.certificates.related else "http"
        authority = None if certificate is None else certificate.ca
        self.unit.set_ports(PORT)
        endpoints.ingress.publish(PORT, scheme)
        endpoints.metrics.publish(PORT, scheme, ca=authority)
        endpoints.dashboards.publish()
        endpoints.log_forwarding.publish()
        if outcome.offers is None or (scheme == "https" and certificate is None):
            # What was said last holds, such as the authority until the next certificate is here.
            return
        uri = self._server.tracking_uri if outcome.offers else None
        endpoints.consumers.publish(uri, authority if endpoints.ingress.url is None else None)

    def _shape_cluster(self, config: CharmConfig) -> None:
        if not self.unit.is_leader():
            return
        settings = ClusterSettings(
            units=self.app.planned_units(),
            external_service=config.external_service,
            port=PORT,
            cpu_request=config.cpu_request or None,
            cpu_limit=config.cpu_limit or None,
            memory_request=config.memory_request or None,
            memory_limit=config.memory_limit or None,
        )
        try:
            self._cluster.apply(settings)
        except ClusterForbidden as error:
            logger.warning("Kubernetes refuses: %s", error)
            self._statuses.append(statuses.not_trusted(self.app.name))
        except ClusterUnavailable as error:
            self._statuses.append(statuses.cluster_away(str(error)))
        except ClusterError as error:
            self._statuses.append(statuses.cluster_rejects(str(error)))

    def _say_version(self) -> None:
        try:
            version = self._workload.version
        except WorkloadError as error:
            logger.warning("no version: %s", error)
        else:
            self.unit.set_workload_version(f"{version.server} (MLflow {version.mlflow})")

    @property
    def _certificate_names(self) -> tuple[str, ...]:
        external = str(self.config.get("external-hostname", ""))
        return hosts.certificate_names(self.unit.name, self.model.name, external)

    def _on_remove(self, _: ops.RemoveEvent) -> None:
        """The last unit takes what is not Juju's along; Juju removes the rest, and keeps storage as it was told."""
        if self.app.planned_units() > 0 or not self.unit.is_leader():
            return
        try:
            self._cluster.remove()
        except ClusterError as error:
            logger.warning("Kubernetes objects of %s may be left: %s", self.app.name, error)

    def _on_collect_unit_status(self, event: ops.CollectStatusEvent) -> None:
        for status in self._statuses:
            event.add_status(status)


if __name__ == "__main__":  # pragma: no cover
    ops.main(MlflowTrackingCharm)
