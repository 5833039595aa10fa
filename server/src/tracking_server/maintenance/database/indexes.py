"""Indexes that MLflow's schema lacks and our queries use: additional, under a prefix of ours, removable at any time.

None is needed: without them the same queries read more rows. The times with each are those of 300,000 runs.
"""

from __future__ import annotations

import enum
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass

from tracking_server.config import Config
from tracking_server.exit_codes import ExitCode, FatalError
from tracking_server.maintenance.database.status import require_native
from tracking_server.search.sql import SHORT_VALUE
from tracking_server.store.database import Dialect
from tracking_server.store.lock_names import UPGRADE_KEY
from tracking_server.store.postgres.pool import Raw
from tracking_server.store.postgres.session import own_session
from tracking_server.store.postgres.translate import DRIVER_ERRORS

PREFIX = "tracking_server_"

_STATE = (
    "SELECT i.indisvalid AS valid, pg_relation_size(c.oid) AS size FROM pg_catalog.pg_class c"
    " JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = current_schema() AND c.relname = $1"
)
_WAITING = "waits for an upgrade (db upgrade --prepare)"
_LEFT_OVER = (
    "SELECT c.relname::text AS name FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = current_schema() AND c.relkind = 'i' AND starts_with(c.relname, $1) ORDER BY 1"
)


@dataclass(frozen=True, slots=True)
class Index:
    """An index of ours, and the query that it is for."""

    name: str
    table: str
    columns: str
    purpose: str
    dialects: frozenset[Dialect] = frozenset(Dialect)

    @property
    def definition(self) -> str:
        return f"{self.name} ON {self.table} {self.columns}"


INDEXES = (
    Index(
        f"{PREFIX}runs_experiment_start",
        "runs",
        "(experiment_id, start_time DESC)",
        "the newest runs of an experiment (runs/search)",
    ),
    Index(
        f"{PREFIX}runs_experiment_start_last",
        "runs",
        "(experiment_id, start_time DESC NULLS LAST)",
        "the newest runs of an experiment, as MLflow's UI asks for them (runs/search)",
        # To SQLite, NULL is less than anything: the index above is in this order there.
        frozenset({Dialect.POSTGRESQL}),
    ),
    Index(
        f"{PREFIX}logged_models_experiment",
        "logged_models",
        "(experiment_id, creation_timestamp_ms DESC)",
        "the newest models of an experiment (logged-models/search)",
    ),
    Index(
        f"{PREFIX}model_versions_run",
        "model_versions",
        "(run_id)",
        "the model versions that a run made (model-versions/search)",
    ),
    Index(
        f"{PREFIX}experiment_tags_experiment",
        "experiment_tags",
        "(experiment_id)",
        "the tags of an experiment (experiments/get, experiments/search)",
    ),
    # None for parameters: storing them would cost PostgreSQL half as much again (bench: log-batch of 100 params).
    Index(
        f"{PREFIX}tags_value",
        "tags",
        # Longer ones would not fit into an index.
        f"(key, value, run_uuid) WHERE length(value) <= {SHORT_VALUE}",
        "the runs with a tag of some value, such as the children of a run (runs/search)",
        # SQLite's migrations copy whole tables, with what they understand of their indexes.
        frozenset({Dialect.POSTGRESQL}),
    ),
)


def indexes_of(dialect: Dialect) -> tuple[Index, ...]:
    """The indexes that we make in databases of a kind."""
    return tuple(each for each in INDEXES if dialect in each.dialects)


class State(enum.StrEnum):
    """Whether an index is there; INVALID is one whose making was killed."""

    PRESENT = "present"
    MISSING = "missing"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class IndexState:
    """An index of ours in a database; ``bytes`` is None where unknown."""

    name: str
    table: str
    state: State
    bytes: int | None
    purpose: str


Tell = Callable[[str], None]


async def look(config: Config) -> list[IndexState]:
    """The state of each index of ours, and of those that wait for an upgrade. Raises FatalError."""
    if require_native(config) is Dialect.SQLITE:
        present = _sqlite_indexes(config)
        return [
            IndexState(
                each.name, each.table, State.PRESENT if each.name in present else State.MISSING, None, each.purpose
            )
            for each in indexes_of(Dialect.SQLITE)
        ]
    async with _connected(config) as connection:
        ours = [(each.name, each.table, each.purpose) for each in indexes_of(Dialect.POSTGRESQL)]
        ours += [(name, "", _WAITING) for name in await _prepared(connection)]
        return [IndexState(name, table, *await _read(connection, name), purpose) for name, table, purpose in ours]


async def create(config: Config, tell: Tell) -> int:
    """Makes every index of ours that is missing, beside running servers; returns how many. Raises FatalError."""
    if require_native(config) is Dialect.SQLITE:
        return _in_sqlite(
            config, [f"CREATE INDEX IF NOT EXISTS {each.definition}" for each in indexes_of(Dialect.SQLITE)]
        )
    count = 0
    async with _connected(config, alone=True) as connection:
        for each in indexes_of(Dialect.POSTGRESQL):
            state, _ = await _read(connection, each.name)
            if state is State.INVALID:
                await _drop(connection, each.name)
            if state is not State.PRESENT:
                tell(f"making {each.name}")
                await connection.execute(f"CREATE INDEX CONCURRENTLY {each.definition}")
                count += 1
    return count


async def drop(config: Config, tell: Tell) -> int:
    """Drops every index of ours, and those that wait for an upgrade; returns how many. Raises FatalError."""
    if require_native(config) is Dialect.SQLITE:
        return _in_sqlite(config, [f"DROP INDEX IF EXISTS {each.name}" for each in indexes_of(Dialect.SQLITE)])
    async with _connected(config, alone=True) as connection:
        names = [each.name for each in indexes_of(Dialect.POSTGRESQL)] + await _prepared(connection)
        present = [name for name in names if (await _read(connection, name))[0] is not State.MISSING]
        for name in present:
            tell(f"dropping {name}")
            await _drop(connection, name)
    return len(present)


async def _read(connection: Raw, name: str) -> tuple[State, int | None]:
    """The state of an index, and its size in bytes."""
    row = await connection.fetchrow(_STATE, name)
    if row is None:
        return State.MISSING, None
    return State.PRESENT if row["valid"] else State.INVALID, row["size"]


async def _drop(connection: Raw, name: str) -> None:
    await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


async def _prepared(connection: Raw) -> list[str]:
    return [row["name"] for row in await connection.fetch(_LEFT_OVER, f"{PREFIX}prepared_")]


@asynccontextmanager
async def _connected(config: Config, *, alone: bool = False) -> AsyncIterator[Raw]:
    """A connection outside transactions, which CONCURRENTLY needs; ``alone`` keeps upgrades away meanwhile."""
    try:
        async with own_session(config.database, "db indexes", statement_seconds=None) as connection:
            if not config.database.transaction_pooling:
                await connection.execute("SET statement_timeout = 0")
                if alone and not await connection.fetchval("SELECT pg_try_advisory_lock($1)", UPGRADE_KEY):
                    raise FatalError("an upgrade of this database, or of its indexes, is running", ExitCode.LOCKED)
            yield connection
    except DRIVER_ERRORS as error:
        raise FatalError(f"the database: {error}", ExitCode.UNREACHABLE) from error


def _sqlite_indexes(config: Config) -> set[str]:
    path = config.database.sqlite_path()
    if not path.exists():
        return set()
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}


def _in_sqlite(config: Config, statements: list[str]) -> int:
    before = _sqlite_indexes(config)
    try:
        with closing(sqlite3.connect(config.database.sqlite_path(), timeout=30)) as connection, connection:
            for statement in statements:
                connection.execute(statement)
    except sqlite3.Error as error:
        raise FatalError(f"the database: {error}", ExitCode.UNREACHABLE) from error
    return len(before ^ _sqlite_indexes(config))
