"""Indexes of pending revisions, built CONCURRENTLY before the migration, which then finds them under its own names.

They wait under names of ours, so that a database whose upgrade never comes is one that MLflow itself can upgrade.
PostgreSQL only: SQLite has one writer at a time, and builds indexes within its transaction.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from tracking_server.maintenance.database.catalogue import catalogue

PREFIX = "tracking_server_prepared_"

_CREATE = re.compile(r"\s*CREATE (UNIQUE )?INDEX (\"?\w+\"?) ON (\"?(\w+)\"?) (\(.*)", re.DOTALL)
_STATE = sa.text(
    "SELECT i.indisvalid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = current_schema() AND c.relname = :name"
)


def prepared_name(statement: str) -> str:
    """The name under which the index of a CREATE INDEX statement waits: it tells one definition from another."""
    digest = hashlib.sha256(" ".join(statement.split()).encode()).hexdigest()[:16]
    return f"{PREFIX}{digest}"


def prepare(engine: sa.Engine, revision: str) -> Iterator[str]:
    """Builds what can be built already of the indexes after ``revision``; yields the name of each when it is there.

    Columns that the upgrade itself adds, or changes, cannot have an index yet: those are left to it.
    """
    if engine.dialect.name != "postgresql":
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        tables = set(sa.inspect(connection).get_table_names())
        for statement in _index_statements(revision):
            found = _CREATE.match(statement)
            if found is None or found[4] not in tables:
                continue
            name = prepared_name(statement)
            valid = connection.execute(_STATE, {"name": name}).scalar()
            if valid is False:
                # An earlier attempt was killed.
                connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            if valid:
                continue
            try:
                unique = found[1] or ""
                connection.exec_driver_sql(f"CREATE {unique}INDEX CONCURRENTLY {name} ON {found[3]} {found[5]}")
            except sa.exc.ProgrammingError:
                # A column that is not there yet.
                continue
            yield found[2]


@contextlib.contextmanager
def used(engine: sa.Engine) -> Iterator[None]:
    """While open, CREATE INDEX on ``engine`` takes an index that was prepared, where there is one."""

    def before(connection: sa.Connection, cursor: Any, statement: str, parameters: Any, *_: object) -> tuple[str, Any]:
        found = _CREATE.match(statement)
        if found is None:
            return statement, parameters
        name = prepared_name(statement)
        cursor.execute(str(_STATE).replace(":name", "%s"), (name,))
        row = cursor.fetchone()
        if row is None or not row[0]:
            return statement, parameters
        return f"ALTER INDEX {name} RENAME TO {found[2]}", parameters

    sa.event.listen(engine, "before_cursor_execute", before, retval=True)
    try:
        yield
    finally:
        sa.event.remove(engine, "before_cursor_execute", before)


def _index_statements(revision: str) -> list[str]:
    """The CREATE INDEX statements after ``revision`` on tables that nothing changes in between but by new columns."""
    found = []
    changed: set[str] = set()
    for pending in catalogue().after(revision):
        for statement in pending.postgresql:
            index = _CREATE.match(statement)
            if index is not None and index[4] not in changed:
                found.append(statement)
            altered = re.match(r"ALTER TABLE \"?(\w+)\"? (?:RENAME|ALTER COLUMN \S+ TYPE|DROP COLUMN)", statement)
            if altered is not None:
                changed.add(altered[1])
    return found
