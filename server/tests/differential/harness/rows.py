"""Reads all rows of MLflow's schema from a database, and empties it between two scripts."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg import sql

Rows = dict[str, list[dict[str, object]]]

# Written by stock's background threads at moments that no call decides.
_BACKGROUND_TABLES = frozenset({"scheduler_leases", "job_locks"})
_KEPT_TABLES = frozenset({"alembic_version", "workspaces"})
# Tables whose ids other tables refer to come first, so that their ids are partnered when the others are compared.
_FIRST = ("experiments", "runs", "logged_models", "registered_models", "model_versions", "datasets", "inputs")
FIRST_EXPERIMENT_ID = 730_000_000
_EXPERIMENTS_PER_SCRIPT = 1_000


class Dump(Protocol):
    """A database of one server, seen from outside."""

    def rows(self) -> Rows:
        """All rows of all tables that have any, in an order that refers backwards only."""
        ...

    def reset(self, script_number: int) -> None:
        """Empties all tables but for a default experiment; ids of new experiments start at a fresh number."""
        ...

    def close(self) -> None: ...


def anchor(script_number: int) -> tuple[int, str]:
    """The id and name of the deleted experiment that lifts the numbering: the same in both databases."""
    return FIRST_EXPERIMENT_ID + script_number * _EXPERIMENTS_PER_SCRIPT, f"anchor {script_number}"


def table_order(names: list[str]) -> list[str]:
    """Tables in the order in which they are compared."""
    kept = [name for name in names if name not in _BACKGROUND_TABLES and not name.startswith("sqlite_")]
    return [name for name in _FIRST if name in kept] + sorted(name for name in kept if name not in _FIRST)


_DEFAULT = (
    "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time,"
    " last_update_time, workspace) VALUES (0, 'Default', 'mlflow-artifacts:/0', 'active', 1, 1, 'default')"
)
_ANCHOR = (
    "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time,"
    " last_update_time, workspace) VALUES ({0}, {0}, 'mlflow-artifacts:/anchor', 'deleted', 1, 1, 'default')"
)


@dataclass(slots=True)
class SqliteDump:
    """A SQLite file in use by a server."""

    path: Path

    def rows(self) -> Rows:
        with self._connect() as connection:
            connection.execute("BEGIN")
            found: Rows = {}
            for table in table_order(self._tables(connection)):
                rows = [dict(row) for row in connection.execute(f'SELECT * FROM "{table}"')]
                if rows:
                    found[table] = rows
            return found

    def reset(self, script_number: int) -> None:
        with self._connect() as connection:
            connection.execute("BEGIN IMMEDIATE")
            for table in self._tables(connection):
                if table not in _KEPT_TABLES:
                    connection.execute(f'DELETE FROM "{table}"')
            connection.execute(_DEFAULT)
            connection.execute(_ANCHOR.format("?").replace("?, ?", "?1, ?2"), anchor(script_number))
            connection.execute("COMMIT")

    def close(self) -> None:
        return None

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, timeout=60, isolation_level=None)
        connection.row_factory = sqlite3.Row
        try:
            yield connection
        finally:
            connection.close()

    @staticmethod
    def _tables(connection: sqlite3.Connection) -> list[str]:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        return [str(row[0]) for row in found]


class PostgresDump:
    """A PostgreSQL database in use by a server; its superuser must be ``postgres``, with the password of ``uri``."""

    def __init__(self, uri: str) -> None:
        self._connection: psycopg.Connection[dict[str, Any]] = psycopg.connect(
            uri, user="postgres", autocommit=True, row_factory=psycopg.rows.dict_row
        )
        found = self._connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        self._tables = [str(row["tablename"]) for row in found]

    def rows(self) -> Rows:
        found: Rows = {}
        with self._connection.transaction():
            self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            for table in self._filled(table_order(self._tables)):
                query = sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))
                found[table] = list(self._connection.execute(query).fetchall())
        return found

    def reset(self, script_number: int) -> None:
        with self._connection.transaction():
            # Without triggers no foreign key asks for an order of deletion.
            self._connection.execute("SET LOCAL session_replication_role = replica")
            for table in self._filled([name for name in self._tables if name not in _KEPT_TABLES]):
                self._connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
            self._connection.execute(_DEFAULT)
            identifier, name = anchor(script_number)
            self._connection.execute(
                sql.SQL(_ANCHOR.replace("{0}, {0}", "{}, {}")).format(sql.Literal(identifier), sql.Literal(name))
            )
            self._connection.execute(
                "SELECT setval(pg_get_serial_sequence('experiments', 'experiment_id'), %s)", (identifier,)
            )

    def close(self) -> None:
        self._connection.close()

    def _filled(self, tables: list[str]) -> list[str]:
        """The tables among ``tables`` that have rows, found in one statement."""
        if not tables:
            return []
        probes = [
            sql.SQL("SELECT {} AS name WHERE EXISTS (SELECT FROM {})").format(sql.Literal(table), sql.Identifier(table))
            for table in tables
        ]
        filled = {str(row["name"]) for row in self._connection.execute(sql.SQL(" UNION ALL ").join(probes)).fetchall()}
        return [table for table in tables if table in filled]
