"""Brings this unit's server to what options, relations and peers ask for, step by step."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import ops

import hosts
import readiness
import schema
import statuses
from charm_config import CharmConfig
from data_source import Decision, Kind, Offer, Situation, Source, decide
from endpoints import Endpoints
from peers import Serving as ServingRecord
from relations.database import Database
from relations.object_storage import ObjectStorage
from schema import Gate, SchemaKeeper, State, Verdict
from server_config import (
    CERTIFICATE_FILE,
    EMBEDDED_ARTIFACTS,
    EMBEDDED_DATABASE,
    EMBEDDED_DATABASE_URI,
    KEY_FILE,
    PORT,
    ArtifactSettings,
    DatabaseSettings,
    ServerSettings,
    TlsSettings,
    digest,
    render,
)
from workload import CommandFailed, ConfigRejected, Serving, Workload, WorkloadError

logger = logging.getLogger(__name__)

READY_PATIENCE_SECONDS = 30.0
"""Longer than the ready check takes to fail: a hook that gives up is followed by one when the check recovers."""

CHECK_PATIENCE_SECONDS = 11.0
"""More than two periods of the check."""


@dataclass(frozen=True)
class Options:
    """The operator's options, with the secret among them read."""

    config: CharmConfig
    stock_environment: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Outcome:
    """What became of the server: the statuses, and whether clients are to be sent to it.

    ``offers`` is None where that stays as it was, as while a database is away or migrates.
    """

    statuses: tuple[ops.StatusBase, ...]
    offers: bool | None = None


class Server:
    """One unit's server: where it serves from, with which configuration, on which schema, and whether it is ready."""

    def __init__(self, charm: ops.CharmBase, workload: Workload, endpoints: Endpoints) -> None:
        self._charm = charm
        self.workload = workload
        self._endpoints = endpoints
        self._peers = endpoints.peers

    def converge(self, options: Options) -> Outcome:
        """Does all that is to be done; what a no-change event finds already done is not done again."""
        if not self._peers.available:
            return Outcome((statuses.no_peers(),))
        try:
            return self._converge(options)
        except ConfigRejected as error:
            return Outcome((statuses.rejected(str(error)),))
        except WorkloadError as error:
            logger.warning("the server's container: %s", error)
            return Outcome((statuses.workload(str(error)),))

    def decide(self) -> Decision:
        """Where to serve from; puts on record what that takes. Raises WorkloadError."""
        decision = decide(self._situation())
        if any(choice.release for choice in decision.choices.values()) and self.workload.is_running:
            # Somebody may have logged a run since we looked.
            self.workload.halt()
            decision = decide(self._situation())
        for kind, choice in decision.choices.items():
            if choice.release is not None:
                self._peers.release(kind, choice.release)
            if choice.adopt is not None:
                self._peers.adopt(kind, choice.adopt)
        if decision.holder is not None:
            self._peers.record_holder(decision.holder)
        return decision

    def keeper(self, decision: Decision) -> SchemaKeeper:
        """What looks after the schema of the database that was decided on."""
        embedded = decision.is_embedded(Kind.DATABASE)
        decides = embedded or self._charm.unit.is_leader()
        identity = self._database_identity(decision)
        return SchemaKeeper(self.workload, self._peers, identity, embedded=embedded, decides=decides)

    def stop(self) -> None:
        """Stops serving, and tells the peers so. Raises WorkloadError."""
        self.workload.stop(Serving(None, log_targets=self._endpoints.log_forwarding.targets))
        self._peers.say_serving(None)

    def install(self, options: Options, sources: Mapping[Kind, Source]) -> Serving:
        """Installs the configuration for these sources. Raises ConfigRejected and other WorkloadErrors."""
        settings = self._settings(options, sources)
        files = render(settings)
        self.workload.install(files)
        return Serving(digest(files), settings.tls is not None, self._endpoints.log_forwarding.targets)

    def identity(self, kind: Kind) -> str | None:
        """The identity of a ready integration; None while there is none."""
        offered = self._integration(kind).offered
        return None if offered is None else offered.identity

    @property
    def tracking_uri(self) -> str:
        return hosts.tracking_uri(
            self._charm.app.name,
            self._charm.model.name,
            tls=self._endpoints.certificates.related,
            ingress=self._endpoints.ingress.url,
            external_hostname=str(self._charm.config.get("external-hostname", "")),
        )

    def _converge(self, options: Options) -> Outcome:
        decision = self.decide()
        found = self._data_statuses(decision)
        if not decision.serves:
            self.stop()
            elsewhere = self._peers.holder in self._peers.units - {self._charm.unit.name}
            return Outcome(found, offers=elsewhere)
        if self._waits_for_certificate():
            return Outcome((*found, statuses.no_certificate()))
        serving = self.install(options, decision.sources)
        keeper = self.keeper(decision)
        if not keeper.is_confirmed:
            # Its Kubernetes pod counts as ready in a refresh, or Kubernetes would wait for it with the other units.
            self.workload.stop(
                Serving(None, serving.tls, serving.log_targets, ready_counts=not keeper.is_between_versions)
            )
            self._peers.say_serving(None)
            status = statuses.schema(keeper.judge(automatic=options.config.automatic_migration))
            if status is not None:
                return Outcome((*found, status))
        started = self.workload.serve(serving)
        revision = self.workload.version.schema
        self._peers.say_serving(ServingRecord(self._database_identity(decision), revision))
        return Outcome((*found, *self._readiness(started), statuses.active(decision)), offers=True)

    def _readiness(self, started: bool) -> tuple[ops.StatusBase, ...]:
        """What is wrong with a server that is meant to serve; nothing while it is ready."""
        certificate = self.workload.read(CERTIFICATE_FILE)
        # While the check is up no event will tell that the server got ready: so wait until it is, or the check fails.
        patience = READY_PATIENCE_SECONDS if started or self.workload.passes_ready_check else 0
        found = readiness.wait(PORT, certificate, patience)
        if not found.ready:
            return (self._diagnosis(found),)
        if not self._passes_ready_check_soon():
            return (statuses.not_ready("waiting for the ready check to pass"),)
        return () if found.artifacts_problem is None else (statuses.no_artifacts(found.artifacts_problem),)

    def _passes_ready_check_soon(self) -> bool:
        """Whether Pebble finds the server ready; one that just got so is given the time until the next two checks."""
        deadline = time.monotonic() + CHECK_PATIENCE_SECONDS
        while not self.workload.passes_ready_check:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.5)
        return True

    def _diagnosis(self, found: readiness.Readiness) -> ops.StatusBase:
        """The status of a server that is not ready; asks its database where it does not answer itself."""
        if found.answers:
            return statuses.not_ready(found.reason)
        try:
            seen = schema.look(self.workload)
        except CommandFailed as error:
            return statuses.not_ready(str(error))
        if seen.state is State.BEHIND:
            detail = f"its schema is {seen.current_text}, this version needs {seen.target_text}"
            return statuses.schema(Verdict(Gate.BEHIND, detail)) or statuses.not_ready(detail)
        if seen.state is not State.CURRENT:
            return statuses.not_ready(f"the database's schema is {seen.state}")
        return statuses.not_ready(
            found.reason if self.workload.is_stable else "the server does not stay up; see its log"
        )

    def _integration(self, kind: Kind) -> Database | ObjectStorage:
        return self._endpoints.database if kind is Kind.DATABASE else self._endpoints.object_storage

    def _situation(self) -> Situation:
        def situation(looked: Mapping[Kind, bool]) -> Situation:
            return Situation(
                unit=self._charm.unit.name,
                leader=self._charm.unit.is_leader(),
                holder=self._peers.holder,
                present=self._peers.units,
                offers={kind: self._offer(kind, looked.get(kind)) for kind in Kind},
            )

        unseen = situation({})
        return situation({kind: self._has_data(kind) for kind in Kind if unseen.must_look(kind)})

    def _offer(self, kind: Kind, has_data: bool | None) -> Offer:
        return Offer(
            related=self._integration(kind).related,
            identity=self.identity(kind),
            adopted=self._peers.adopted(kind),
            released=self._peers.released(kind),
            has_data=has_data,
        )

    def _has_data(self, kind: Kind) -> bool:
        if kind is Kind.ARTIFACTS:
            return self.workload.has_files(EMBEDDED_ARTIFACTS)
        return self.workload.exists(EMBEDDED_DATABASE) and schema.embedded_has_data(self.workload)

    def _data_statuses(self, decision: Decision) -> tuple[ops.StatusBase, ...]:
        found: list[ops.StatusBase] = []
        for kind, choice in decision.choices.items():
            endpoint = self._integration(kind)
            if endpoint.related and endpoint.problem is not None:
                found.append(statuses.integration(endpoint.problem, waiting=endpoint.waiting))
            else:
                status = statuses.data(self._charm.app.name, kind, choice, self._peers.holder)
                found += [] if status is None else [status]
        return tuple(found)

    def _waits_for_certificate(self) -> bool:
        """Whether TLS is asked for, and neither a new certificate nor a running server is there."""
        return self._endpoints.certificates.related and self._tls() is None and not self.workload.is_running

    def _tls(self) -> TlsSettings | None:
        certificates = self._endpoints.certificates
        if not certificates.related:
            return None
        serving = certificates.certificate
        if serving is not None:
            return TlsSettings(serving.chain, serving.private_key)
        # While a new one is on its way, the last one serves on.
        chain, key = self.workload.read(CERTIFICATE_FILE), self.workload.read(KEY_FILE)
        return TlsSettings(chain, key) if chain and key else None

    def _database_identity(self, decision: Decision) -> str:
        if decision.is_embedded(Kind.DATABASE):
            return f"embedded:{self._charm.unit.name}"
        return self.identity(Kind.DATABASE) or ""

    def _settings(self, options: Options, sources: Mapping[Kind, Source]) -> ServerSettings:
        config = options.config
        trusted = self._endpoints.trusted_authorities.bundle
        return ServerSettings(
            database=self._database_settings(config, sources[Kind.DATABASE]),
            artifacts=self._artifact_settings(config, sources[Kind.ARTIFACTS]),
            tls=self._tls(),
            authorities=f"{self.workload.well_known_authorities()}{trusted}" if trusted else None,
            workers=config.workers,
            allowed_hosts=hosts.allowed_hosts(
                self._charm.unit.name,
                self._charm.model.name,
                hosts.addresses(self._charm, "peers"),
                (config.external_hostname, self._endpoints.ingress.url),
                config.allowed_host_list,
            ),
            cors_allowed_origins=config.cors_origin_list,
            log_level=config.log_level,
            max_json_body=config.max_json_body,
            max_concurrent=config.max_concurrent_requests,
            gc_older_than=config.gc_older_than,
            gc_schedule=config.gc_schedule,
            stock_arguments=config.stock_argument_list,
            stock_environment=options.stock_environment,
            stock_jobs=config.stock_jobs,
        )

    def _database_settings(self, config: CharmConfig, source: Source) -> DatabaseSettings:
        connection = self._endpoints.database.connection
        found = (
            DatabaseSettings(EMBEDDED_DATABASE_URI)
            if source is Source.EMBEDDED or connection is None
            else DatabaseSettings(connection.uri, connection.tls, connection.ca)
        )
        return replace(found, connections=config.database_connections, statement_timeout=config.statement_timeout)

    def _artifact_settings(self, config: CharmConfig, source: Source) -> ArtifactSettings:
        bucket = self._endpoints.object_storage.bucket
        if source is Source.EMBEDDED or bucket is None:
            # Clients never reach the storage of a unit by themselves, whatever the option says.
            return ArtifactSettings(EMBEDDED_ARTIFACTS)
        return ArtifactSettings(
            destination=bucket.destination,
            serve=config.artifact_serving == "proxied",
            presigned=config.presigned_artifacts,
            endpoint=bucket.endpoint,
            region=bucket.region,
            ca=bucket.ca_chain,
            addressing_style=bucket.addressing_style,
            access_key=bucket.access_key,
            secret_key=bucket.secret_key,
        )
