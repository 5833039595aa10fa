"""Where a database stands against the installed MLflow. Changes nothing and never loads MLflow."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from importlib import metadata

from tracking_server.config import Config, DatabaseKind
from tracking_server.errors import MlflowError
from tracking_server.exit_codes import ExitCode, FatalError
from tracking_server.maintenance.database.catalogue import catalogue
from tracking_server.maintenance.database.work import RevisionWork, Sizes, work_of
from tracking_server.store import schema
from tracking_server.store.connect import open_database
from tracking_server.store.database import Connection, Database, Dialect, StoreError
from tracking_server.store.queries import Query

_FIRST_TABLES = frozenset(("experiments", "metrics", "params", "runs", "tags"))
_HOLD_DATA = ("runs", "trace_info", "registered_models", "logged_models")
_HAS_ROWS = {name: Query.build(f"has_{name}", f"SELECT 1 FROM {name} LIMIT 1") for name in _HOLD_DATA}  # noqa: S608  names of ours
_HAS_EXPERIMENTS = Query.build("has_experiments", "SELECT 1 FROM experiments WHERE experiment_id <> 0 LIMIT 1")
_RELATIONS = Query(
    "table_sizes",
    "SELECT c.relname::text AS name, greatest(c.reltuples, coalesce(s.n_live_tup, 0))::bigint AS row_count,"
    " pg_relation_size(c.oid) AS size FROM pg_catalog.pg_class c"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " LEFT JOIN pg_catalog.pg_stat_all_tables s ON s.relid = c.oid"
    " WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p')",
    "SELECT name, NULL AS row_count, NULL AS size FROM sqlite_master"
    " WHERE type = 'table' AND name NOT LIKE 'sqlite^_%' ESCAPE '^'",
)


class State(enum.StrEnum):
    """How a database's schema relates to the installed MLflow's."""

    EMPTY = "empty"
    CURRENT = "current"
    BEHIND = "behind"
    AHEAD = "ahead"
    NOT_MLFLOW = "not-mlflow"

    @property
    def exit_code(self) -> ExitCode:
        return _EXIT_CODES[self]


_EXIT_CODES = {
    State.EMPTY: ExitCode.DATABASE_EMPTY,
    State.CURRENT: ExitCode.OK,
    State.BEHIND: ExitCode.SCHEMA_BEHIND,
    State.AHEAD: ExitCode.SCHEMA_AHEAD,
    State.NOT_MLFLOW: ExitCode.NOT_MLFLOW,
}


@dataclass(frozen=True, slots=True)
class Status:
    """What ``db status`` tells. Releases are MLflow's, None where unknown; ``pending`` is in the upgrade's order."""

    state: State
    current: str | None
    target: str
    current_mlflow: str | None
    target_mlflow: str
    pending: tuple[RevisionWork, ...]
    has_data: bool | None


def require_native(config: Config) -> Dialect:
    """The database's dialect. Raises FatalError for one that only stock MLflow can reach."""
    if config.database.kind is DatabaseKind.OTHER:
        dialect = config.database.uri.dialect
        message = f"{dialect} databases are looked after by MLflow itself: mlflow db upgrade"
        raise FatalError(message, ExitCode.BAD_CONFIGURATION)
    return Dialect.POSTGRESQL if config.database.kind is DatabaseKind.POSTGRESQL else Dialect.SQLITE


async def look(config: Config) -> Status:
    """Reads the database's state. Raises FatalError (UNREACHABLE) when it cannot be read."""
    if require_native(config) is Dialect.SQLITE and not config.database.sqlite_path().exists():
        return _status(Dialect.SQLITE, set(), [], {}, has_data=False)
    try:
        database = await open_database(config.database)
        try:
            return await database.read(lambda connection: _look(database, connection))
        finally:
            await database.close()
    except (MlflowError, StoreError) as error:
        raise FatalError(f"the database cannot be read: {error}", ExitCode.UNREACHABLE) from error


async def _look(database: Database, connection: Connection) -> Status:
    sizes: Sizes = {row["name"]: (row["row_count"], row["size"]) for row in await connection.fetch(_RELATIONS)}
    found = await schema.revisions_in(connection) if "alembic_version" in sizes else []
    if database.dialect is Dialect.SQLITE:
        sizes = await _sqlite_sizes(connection, sizes)
    return _status(database.dialect, set(sizes), found, sizes, has_data=await _has_data(connection, set(sizes)))


async def _sqlite_sizes(connection: Connection, tables: Sizes) -> Sizes:
    # SQLite keeps no statistics; the highest row id is quick to find and rarely far from the count.
    found: dict[str, tuple[int | None, int | None]] = {}
    for name in tables:
        quoted = '"' + name.replace('"', '""') + '"'
        row = await connection.fetch_one(Query.build("highest_row", f"SELECT max(rowid) AS n FROM {quoted}"))  # noqa: S608  quoted
        found[name] = (0 if row is None else row["n"] or 0, None)
    return found


async def _has_data(connection: Connection, tables: set[str]) -> bool:
    """Whether there is any run, trace, model, or experiment besides Default, deleted ones included."""
    queries = [query for name, query in _HAS_ROWS.items() if name in tables]
    if "experiments" in tables:
        queries.append(_HAS_EXPERIMENTS)
    for query in queries:
        if await connection.fetch_one(query) is not None:
            return True
    return False


def _status(dialect: Dialect, tables: set[str], found: list[str], sizes: Sizes, *, has_data: bool | None) -> Status:
    known = schema.installed_revisions()
    target = schema.head_of(known)
    own = {name for name in tables if not name.startswith("alembic_")}
    current = ",".join(found) or None
    if not own:
        state = State.EMPTY
    elif not {"experiments", "runs"} <= own or (current is None and own != _FIRST_TABLES):
        state = State.NOT_MLFLOW
    elif current is not None and current not in known:
        state = State.AHEAD
    else:
        state = State.CURRENT if current == target else State.BEHIND
    pending = catalogue().after(current) if state is State.BEHIND else []
    return Status(
        state=state,
        current=None if state is State.EMPTY else current,
        target=target,
        current_mlflow=catalogue().release_of(current) if current is not None and state is not State.EMPTY else None,
        target_mlflow=metadata.version("mlflow"),
        pending=tuple(work_of(each, dialect, sizes) for each in pending),
        has_data=None if state is State.NOT_MLFLOW else has_data,
    )
