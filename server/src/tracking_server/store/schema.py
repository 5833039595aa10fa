"""Which schema a database holds.

The schema is MLflow's alone: Alembic's revision tells its version, and only MLflow's own code creates or changes it.
"""

from __future__ import annotations

import enum
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tracking_server.store.database import Connection, Database
from tracking_server.store.queries import Query

TESTED_REVISIONS = {"dc11669786a5": "3.17.2"}
"""The Alembic heads that native handlers were tested on, with the MLflow version that has each."""

FOREIGN_TABLES = "holds tables that are not MLflow's"
"""What is said of a database that somebody else uses."""

_REVISION = re.compile(r"^(down_revision|revision)\s*=\s*(?:[\"'](\w+)[\"']|None)", re.MULTILINE)

# MLflow looks at the tables of the connection's default schema (SQLAlchemy's get_table_names).
_TABLES = Query(
    "schema_tables",
    "SELECT c.relname::text AS name FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p')",
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite^_%' ESCAPE '^'",
)
_REVISIONS = Query.build("schema_revisions", "SELECT version_num FROM alembic_version ORDER BY version_num")


class SchemaState(enum.StrEnum):
    """What a database's schema allows."""

    EMPTY = "empty"
    """No tables: MLflow's can be made."""
    TESTED = "tested"
    """Native handlers may run."""
    BEHIND = "behind"
    """Made by an older MLflow: refuse to start until it is upgraded."""
    UNKNOWN = "unknown"
    """MLflow's, but not a revision that was tested: forward everything."""
    NOT_MLFLOW = "not-mlflow"
    """Somebody else's tables: refuse to start and change nothing."""


@dataclass(frozen=True, slots=True)
class Schema:
    """A database's schema: its state, its Alembic revision (None without one), the installed MLflow's head."""

    state: SchemaState
    revision: str | None
    installed_head: str

    @property
    def native(self) -> bool:
        """Whether native handlers may answer on it."""
        return self.state is SchemaState.TESTED

    @property
    def servable(self) -> bool:
        """Whether a server may start on it as it is."""
        return self.state in (SchemaState.TESTED, SchemaState.UNKNOWN)

    def explain(self) -> str:
        """One line for a person, with what to do."""
        match self.state:
            case SchemaState.EMPTY:
                return "the database is empty"
            case SchemaState.TESTED:
                return f"schema {self.revision}, of MLflow {TESTED_REVISIONS[self.revision or '']}: tested"
            case SchemaState.BEHIND:
                return (
                    f"schema {self.revision} is older than the installed MLflow's {self.installed_head};"
                    " back the database up, then run: tracking-server db upgrade"
                )
            case SchemaState.UNKNOWN:
                return f"schema {self.revision} was not tested: every request is forwarded to stock MLflow"
            case SchemaState.NOT_MLFLOW:
                return f"the database {FOREIGN_TABLES}; give MLflow a database of its own"


def installed_revisions() -> dict[str, str | None]:
    """Every schema revision of the installed MLflow with the one before it, read without importing MLflow."""
    spec = importlib.util.find_spec("mlflow")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("MLflow is not installed")
    folder = Path(spec.submodule_search_locations[0], "store", "db_migrations", "versions")
    revisions: dict[str, str | None] = {}
    for file in folder.glob("*.py"):
        found = dict(_REVISION.findall(file.read_text("utf-8")))
        if "revision" in found:
            revisions[found["revision"]] = found.get("down_revision") or None
    return revisions


def head_of(revisions: Mapping[str, str | None]) -> str:
    """The one revision that no other follows. Raises ValueError if there is not exactly one."""
    (head,) = revisions.keys() - set(revisions.values())
    return head


async def probe(database: Database) -> Schema:
    """Looks at the database's tables and revision; changes nothing. Raises Unavailable when it is away."""
    revisions = installed_revisions()

    async def look(connection: Connection) -> tuple[set[str], list[str]]:
        tables = await tables_in(connection)
        if "alembic_version" not in tables:
            return tables, []
        return tables, await revisions_in(connection)

    tables, found = await database.read(look)
    return classify(tables, found, revisions)


async def tables_in(connection: Connection) -> set[str]:
    """The names of all tables in the connection's default schema."""
    return {row["name"] for row in await connection.fetch(_TABLES)}


async def revisions_in(connection: Connection) -> list[str]:
    """The rows of alembic_version, a table that must be there."""
    return [row["version_num"] for row in await connection.fetch(_REVISIONS)]


def classify(tables: set[str], found: list[str], revisions: Mapping[str, str | None]) -> Schema:
    """What these tables and rows of alembic_version mean to an MLflow with these revisions."""
    head = head_of(revisions)
    revision = ",".join(found) or None
    if all(table.startswith("alembic_") for table in tables):
        # Alembic's own table may be left from an attempt that failed (mlflow/store/db/utils.py, _is_empty_database).
        return Schema(SchemaState.EMPTY, revision, head)
    if revision is None or not {"experiments", "runs"} <= tables:
        return Schema(SchemaState.NOT_MLFLOW, revision, head)
    if revision in revisions and revision != head:
        return Schema(SchemaState.BEHIND, revision, head)
    if revision in TESTED_REVISIONS:
        return Schema(SchemaState.TESTED, revision, head)
    return Schema(SchemaState.UNKNOWN, revision, head)
