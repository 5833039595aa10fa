"""The database's schema: looked at and migrated by the server's own commands, and confirmed to all units.

A unit serves only a schema that was confirmed for its database and its revision: by the leader, through the peers, or,
for an embedded database, by the unit that holds it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from peers import MigrationFailure, Peers, SchemaRecord
from server_config import CONFIG_FILE, EMBEDDED_DATABASE_URI
from workload import CommandFailed, Workload, WorkloadError, json_object

_UNREACHABLE = 5
_LOCKED = 14
_STATUS_SECONDS = 120.0


class State(enum.StrEnum):
    """What `tracking-server db status` finds."""

    EMPTY = "empty"
    CURRENT = "current"
    BEHIND = "behind"
    AHEAD = "ahead"
    NOT_MLFLOW = "not-mlflow"


@dataclass(frozen=True)
class Schema:
    """The schema of a database; ``has_data`` is None where it does not matter."""

    state: State
    current: str | None
    target: str
    current_mlflow: str | None
    target_mlflow: str
    pending: tuple[Mapping[str, Any], ...] = ()
    has_data: bool | None = None

    @property
    def current_text(self) -> str:
        """For messages: the revision, and the MLflow that made it where it is known."""
        return f"{self.current or 'none'}{f' (MLflow {self.current_mlflow})' if self.current_mlflow else ''}"

    @property
    def target_text(self) -> str:
        return f"{self.target} (MLflow {self.target_mlflow})"


class Gate(enum.Enum):
    """Whether the schema may be served, or what is in the way."""

    OPEN = enum.auto()
    UNCONFIRMED = enum.auto()
    UNREACHABLE = enum.auto()
    OTHERS_SERVE = enum.auto()
    BEHIND = enum.auto()
    AHEAD = enum.auto()
    NOT_MLFLOW = enum.auto()
    FAILED = enum.auto()


@dataclass(frozen=True)
class Verdict:
    """The gate, with what a status tells about it."""

    gate: Gate
    detail: str = ""


class MigrationRefused(Exception):
    """The database was not migrated; the text says why and what to do, and ``gate`` which obstacle it is."""

    def __init__(self, gate: Gate, message: str) -> None:
        super().__init__(message)
        self.gate = gate


@dataclass(frozen=True)
class Migrated:
    """What a migration did."""

    before: str | None
    after: str
    revisions: int


def look(workload: Workload) -> Schema:
    """The schema of the configured database. Raises CommandFailed where it cannot be reached."""
    return _look(workload, ["db", "status", "--config", CONFIG_FILE, "--json"], {})


def embedded_has_data(workload: Workload) -> bool:
    """Whether the embedded database holds anything of a user's; unknown counts as data."""
    environment = {"TRACKING_SERVER_DATABASE_URI": EMBEDDED_DATABASE_URI}
    return _look(workload, ["db", "status", "--json"], environment).has_data is not False


class SchemaKeeper:
    """Looks, migrates and confirms, for the one database that this unit's configuration names."""

    def __init__(self, workload: Workload, peers: Peers, identity: str, *, embedded: bool, decides: bool) -> None:
        """``decides``: this unit is the leader, or the holder of an embedded database."""
        self._workload = workload
        self._peers = peers
        self._identity = identity
        self._embedded = embedded
        self._decides = decides

    @property
    def is_confirmed(self) -> bool:
        record = self._peers.schema(embedded=self._embedded)
        return record is not None and (record.database, record.revision) == (
            self._identity,
            self._workload.version.schema,
        )

    @property
    def is_between_versions(self) -> bool:
        """Whether this database is confirmed for another revision: units of two versions exist, as in a refresh."""
        record = self._peers.schema(embedded=self._embedded)
        return record is not None and record.database == self._identity and not self.is_confirmed

    def judge(self, *, automatic: bool) -> Verdict:
        """Says whether this unit may serve; one that decides also confirms, makes the tables of an empty database, and
        migrates an older one where that is ``automatic``.
        """
        if self.is_confirmed:
            return Verdict(Gate.OPEN)
        if not self._decides:
            return Verdict(Gate.UNCONFIRMED)
        try:
            schema = look(self._workload)
        except CommandFailed as error:
            return Verdict(Gate.UNREACHABLE, str(error))
        return self._judge(schema, automatic)

    def migrate(self, on_line: Callable[[str], None] | None = None) -> Migrated:
        """Migrates the database, with this unit's service stopped, or confirms a current one.

        Raises MigrationRefused, and CommandFailed where the database cannot be reached.
        """
        schema = look(self._workload)
        if schema.state is State.CURRENT:
            self._confirm(schema)
            return Migrated(schema.current, schema.target, 0)
        refusal = _refusal(schema)
        if refusal is not None:
            raise refusal
        self._stop_others(schema)
        self._workload.halt()
        self._peers.say_serving(None)
        try:
            done = self._upgrade(on_line)
        except WorkloadError as error:
            if isinstance(error, CommandFailed) and error.exit_code == _LOCKED:
                raise MigrationRefused(Gate.OTHERS_SERVE, str(error)) from error
            failure = MigrationFailure(self._identity, schema.target, str(error))
            self._peers.record_failure(failure, embedded=self._embedded)
            raise MigrationRefused(Gate.FAILED, str(error)) from error
        self._confirm(schema)
        return Migrated(schema.current, schema.target, int(done.get("revisions", 0)))

    def _judge(self, schema: Schema, automatic: bool) -> Verdict:
        if schema.state is State.CURRENT:
            self._confirm(schema)
            return Verdict(Gate.OPEN)
        if schema.state is State.BEHIND:
            failure = self._failure(schema)
            if failure is not None:
                return Verdict(Gate.FAILED, failure)
            if not automatic:
                detail = f"its schema is {schema.current_text}, this version needs {schema.target_text}"
                return Verdict(Gate.BEHIND, detail)
        try:
            self.migrate()
        except MigrationRefused as error:
            return Verdict(error.gate, str(error))
        except CommandFailed as error:
            return Verdict(Gate.UNREACHABLE, str(error))
        return Verdict(Gate.OPEN)

    def _failure(self, schema: Schema) -> str | None:
        failure = self._peers.failure(embedded=self._embedded)
        if failure is None or (failure.database, failure.revision) != (self._identity, schema.target):
            return None
        return failure.reason

    def _confirm(self, schema: Schema) -> None:
        record = SchemaRecord(self._identity, schema.target, schema.target_mlflow)
        self._peers.confirm(record, embedded=self._embedded)

    def _stop_others(self, schema: Schema) -> None:
        """Lets the migration pass only when no other unit serves this database."""
        if self._embedded:
            return
        serving = {name: one for name, one in self._peers.others_serving.items() if one.database == self._identity}
        older = [name for name, one in serving.items() if one.revision != schema.target]
        if older:
            raise MigrationRefused(
                Gate.OTHERS_SERVE,
                f"{', '.join(older)} still serves with another version of MLflow; wait until the refresh has reached"
                " every unit, then migrate",
            )
        if serving:
            self._peers.confirm(None, embedded=False)
            raise MigrationRefused(
                Gate.OTHERS_SERVE, f"{', '.join(serving)} still serves and was told to stop; migrate again in a moment"
            )

    def _upgrade(self, on_line: Callable[[str], None] | None) -> Mapping[str, Any]:
        arguments = ["db", "upgrade", "--config", CONFIG_FILE, "--json"]
        return json_object("tracking-server db upgrade", self._workload.run(arguments, on_line=on_line))


def _refusal(schema: Schema) -> MigrationRefused | None:
    if schema.state is State.AHEAD:
        return MigrationRefused(
            Gate.AHEAD,
            f"its schema {schema.current_text} is newer than this version's, {schema.target_text}; refresh to a version"
            " of the charm with a newer MLflow",
        )
    if schema.state is State.NOT_MLFLOW:
        return MigrationRefused(
            Gate.NOT_MLFLOW, "it holds tables that are not MLflow's; integrate a database of its own"
        )
    return None


def _look(workload: Workload, arguments: list[str], environment: Mapping[str, str]) -> Schema:
    name = "tracking-server db status"
    try:
        output = workload.run(arguments, seconds=_STATUS_SECONDS, environment=environment)
    except CommandFailed as error:
        # Other codes than 5 tell the state, which stands in the output too.
        if error.exit_code == _UNREACHABLE or not error.output.strip():
            raise
        output = error.output
    content = json_object(name, output)
    try:
        return Schema(
            state=State(content["state"]),
            current=content["current"],
            target=content["target"],
            current_mlflow=content["current_mlflow"],
            target_mlflow=content["target_mlflow"],
            pending=tuple(content["pending"]),
            has_data=content["has_data"],
        )
    except (KeyError, ValueError) as error:
        raise WorkloadError(f"{name}: {error} in its answer") from error
