"""Every relation of the charm, made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import ops

from peers import Peers
from relations.certificates import Certificates
from relations.consumers import Consumers
from relations.dashboards import Dashboards
from relations.database import Database
from relations.ingress import Ingress
from relations.log_forwarding import LogForwarding
from relations.metrics import Metrics
from relations.object_storage import ObjectStorage
from relations.trusted_authorities import TrustedAuthorities


@dataclass(frozen=True)
class Endpoints:
    """The relations, each a view of the model that keeps no state."""

    peers: Peers
    database: Database
    object_storage: ObjectStorage
    ingress: Ingress
    certificates: Certificates
    trusted_authorities: TrustedAuthorities
    metrics: Metrics
    dashboards: Dashboards
    log_forwarding: LogForwarding
    consumers: Consumers

    @classmethod
    def of(cls, charm: ops.CharmBase, certificate_names: Sequence[str]) -> Endpoints:
        return cls(
            peers=Peers(charm),
            database=Database(charm),
            object_storage=ObjectStorage(charm),
            ingress=Ingress(charm),
            certificates=Certificates(charm, certificate_names),
            trusted_authorities=TrustedAuthorities(charm),
            metrics=Metrics(charm),
            dashboards=Dashboards(charm),
            log_forwarding=LogForwarding(charm),
            consumers=Consumers(charm),
        )
