"""The charm's actions. Each says what it did, or fails with what to do instead."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import ops

import schema
from charm_config import DURATION_ALLOWED, comma_list, is_duration
from data_source import Decision, Kind, Reason, Source
from endpoints import Endpoints
from schema import Gate, MigrationRefused, Schema, State
from server_config import CONFIG_FILE, EMBEDDED_ARTIFACTS, EMBEDDED_DATABASE_URI, masked
from unit_server import Options, Server
from workload import CommandFailed, WorkloadError, json_object

Results = dict[str, str]

_KEPT_SOME = 15
"""The exit code of a garbage collection that had to keep something."""

_SHOWN = 20
"""How many of a long list stand in a result."""


class ActionRefused(Exception):
    """The action cannot be done; the text names the remedy."""


@dataclass(frozen=True, kw_only=True)
class CollectGarbage:
    """The parameters of collect-garbage. Raises ValueError for one that is not allowed."""

    older_than: str | None = None
    experiment_ids: str | None = None
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.older_than is not None and not is_duration(self.older_than):
            raise ValueError(f"older-than: {self.older_than!r} is not allowed; allowed: {DURATION_ALLOWED}")
        if not all(one.isascii() and one.isdecimal() for one in self.experiments):
            raise ValueError(
                f"experiment-ids: {self.experiment_ids!r} is not allowed; allowed: ids of digits with commas between"
            )

    @property
    def experiments(self) -> tuple[str, ...]:
        return comma_list(self.experiment_ids or "")

    @property
    def arguments(self) -> list[str]:
        return [
            *("gc", "--config", CONFIG_FILE, "--json"),
            *(["--older-than", self.older_than] if self.older_than is not None else []),
            # Without --only the list would leave the deleted runs of all other experiments to be collected.
            *(["--experiment-ids", ",".join(self.experiments), "--only"] if self.experiments else []),
            *(["--dry-run"] if self.dry_run else []),
        ]


class Actions(ops.Object):
    """Observes every action of actions.yaml; ``finish`` runs after each that may change something."""

    def __init__(
        self,
        charm: ops.CharmBase,
        server: Server,
        endpoints: Endpoints,
        load_options: Callable[[], Options],
        finish: Callable[[], None],
    ) -> None:
        super().__init__(charm, "actions")
        self._charm = charm
        self._server = server
        self._workload = server.workload
        self._endpoints = endpoints
        self._load_options = load_options
        self._finish = finish
        self._works: dict[str, Callable[[ops.ActionEvent], Results]] = {
            "migrate_database": self._migrate_database,
            "check_database": self._check_database,
            "collect_garbage": self._collect_garbage,
            "copy_embedded_data": self._copy_embedded_data,
            "decline_embedded_data": self._decline_embedded_data,
            "get_tracking_uri": self._get_tracking_uri,
            "show_config": self._show_config,
        }
        for name in self._works:
            self.framework.observe(charm.on[name].action, self._run)

    def _run(self, event: ops.ActionEvent) -> None:
        work = self._works[event.handle.kind.removesuffix("_action")]
        try:
            if not self._workload.reachable:
                raise ActionRefused("the container of the server is not up yet; run the action again in a moment")
            results = work(event)
        except (ActionRefused, MigrationRefused, WorkloadError, ValueError) as error:
            event.fail(str(error))
        else:
            event.set_results(results)
        self._finish()

    def _migrate_database(self, event: ops.ActionEvent) -> Results:
        options, decision = self._prepared("migrate-database")
        self._server.install(options, decision.sources)
        try:
            done = self._server.keeper(decision).migrate(event.log)
        except MigrationRefused as refusal:
            raise ActionRefused(
                f"the database was not migrated: {refusal}{_REMEDIES.get(refusal.gate, '')}"
            ) from refusal
        try:
            self._workload.run(["db", "indexes", "create", "--config", CONFIG_FILE], on_line=event.log)
        except CommandFailed as error:
            # Searches go without them, only slower.
            event.log(f"the additional indexes were not made: {error}")
        return {"from": done.before or "none", "to": done.after, "revisions": str(done.revisions)}

    def _check_database(self, event: ops.ActionEvent) -> Results:
        self._require_config_file()
        seen = schema.look(self._workload)
        return {
            "state": str(seen.state),
            "current-revision": seen.current or "none",
            "current-mlflow": seen.current_mlflow or "unknown",
            "target-revision": seen.target,
            "target-mlflow": seen.target_mlflow,
            "pending-revisions": str(len(seen.pending)),
            "migration": _plan(seen),
        }

    def _collect_garbage(self, event: ops.ActionEvent) -> Results:
        parameters = event.load_params(CollectGarbage)
        _, decision = self._prepared("collect-garbage")
        self._require_config_file()
        if not self._server.keeper(decision).is_confirmed:
            raise ActionRefused("the database's schema is not the one of this version; run migrate-database first")
        try:
            summary = self._workload.run_json(parameters.arguments, on_line=event.log)
        except CommandFailed as error:
            if error.exit_code != _KEPT_SOME:
                raise
            summary = json_object("tracking-server gc", error.output)
        kept = [f"{one['id']}: {one['reason']}" for one in summary.pop("kept", [])]
        counts = {name.replace("_", "-"): _text(value) for name, value in summary.items()}
        return {**counts, "kept": str(len(kept)), **({"kept-first": "\n".join(kept[:_SHOWN])} if kept else {})}

    def _copy_embedded_data(self, event: ops.ActionEvent) -> Results:
        options = self._load_options()
        decision = self._decision()
        kinds = self._kept_kinds(decision, "copy-embedded-data")
        event.log("stopping the server, so that nothing changes while it is copied")
        self._workload.halt()
        self._server.install(options, {**decision.sources, **dict.fromkeys(kinds, Source.INTEGRATED)})
        summary = self._workload.run_json(_copy_arguments(kinds), on_line=event.log)
        self._release(kinds)
        return {name.replace("_", "-"): _text(value) for name, value in summary.items()}

    def _decline_embedded_data(self, event: ops.ActionEvent) -> Results:
        peers = self._endpoints.peers
        if peers.holder is not None and peers.holder not in peers.units and self._charm.unit.is_leader():
            gone = peers.holder
            peers.record_holder(self._charm.unit.name)
            return {"result": f"the embedded data of {gone} is given up"}
        decision = self._decision()
        kinds = self._kept_kinds(decision, "decline-embedded-data")
        self._release(kinds)
        return {"result": f"served from the integrations from now on: {', '.join(kinds)}"}

    def _get_tracking_uri(self, event: ops.ActionEvent) -> Results:
        results = {"tracking-uri": self._server.tracking_uri}
        certificate = self._endpoints.certificates.certificate
        if certificate is not None and self._endpoints.ingress.url is None:
            results["ca"] = certificate.ca
        return results

    def _show_config(self, event: ops.ActionEvent) -> Results:
        return {"config": masked(self._require_config_file())}

    def _prepared(self, name: str) -> tuple[Options, Decision]:
        """What an action that works on the database needs; only the unit that decides about it may run it."""
        leader, unit = self._charm.unit.is_leader(), self._charm.unit.name
        refusal = ActionRefused(f"this unit is not the leader; run `juju run {self._charm.app.name}/leader {name}`")
        if not leader and self._endpoints.peers.holder != unit:
            raise refusal
        options = self._load_options()
        decision = self._decision()
        if not leader and not decision.is_embedded(Kind.DATABASE):
            raise refusal
        if not decision.serves:
            raise ActionRefused("this unit has nothing to serve from; `juju status` says what it waits for")
        return options, decision

    def _decision(self) -> Decision:
        if not self._endpoints.peers.available:
            raise ActionRefused("the peer relation is not there yet; run the action again in a moment")
        return self._server.decide()

    def _kept_kinds(self, decision: Decision, name: str) -> list[Kind]:
        """What is embedded although an integration is ready."""
        kinds = [kind for kind, choice in decision.choices.items() if choice.reason is Reason.DATA_KEPT]
        if kinds:
            return kinds
        holder = self._endpoints.peers.holder
        if holder is not None and holder != self._charm.unit.name:
            raise ActionRefused(f"the embedded data is on {holder}; run `juju run {holder} {name}`")
        raise ActionRefused(
            "there is no embedded data beside a ready integration; integrate a database or an object storage and wait"
            " until `juju status` speaks of embedded data"
        )

    def _release(self, kinds: list[Kind]) -> None:
        for kind in kinds:
            identity = self._server.identity(kind)
            if identity is not None:
                self._endpoints.peers.release(kind, identity)

    def _require_config_file(self) -> str:
        text = self._workload.read(CONFIG_FILE)
        if text is None:
            raise ActionRefused("the server has no configuration yet; `juju status` says what it waits for")
        return text


_REMEDIES = {Gate.FAILED: "; what was done is undone or safe to repeat: mend the cause and run migrate-database again"}


def _copy_arguments(kinds: list[Kind]) -> list[str]:
    # Without a source, the configured database's rows are made to name the artifacts' new place.
    database = ["--from", EMBEDDED_DATABASE_URI] if Kind.DATABASE in kinds else []
    artifacts = ["--artifacts-from", EMBEDDED_ARTIFACTS] if Kind.ARTIFACTS in kinds else []
    return ["db", "copy", *database, *artifacts, "--config", CONFIG_FILE, "--json"]


def _plan(seen: Schema) -> str:
    """What a migration would do, one revision a line."""
    if not seen.pending:
        return (
            "nothing to do" if seen.state is State.CURRENT else f"none from {seen.current_text} to {seen.target_text}"
        )
    lines = []
    for one in seen.pending:
        blocks = ", blocks writes" if one.get("blocks_writes") else ""
        lines.append(f"{one.get('revision', '?')}: {one.get('description', '?')}{blocks}")
    return "\n".join(lines)


def _text(value: object) -> str:
    return json.dumps(value) if not isinstance(value, str) else value
