"""One SQLite connection as store functions see it, and how their coroutines are run without an event loop."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from tracking_server.store.database import DataViolation, Dialect, Row, Work
from tracking_server.store.queries import Query
from tracking_server.store.sqlite.translate import DRIVER_ERRORS, translate

T = TypeVar("T")

_CACHED_STATEMENTS = 512


def open_connection(path: Path, busy_seconds: float) -> sqlite3.Connection:
    """A connection without implicit transactions, with the settings that stock makes (mlflow/store/db/utils.py)."""
    connection = sqlite3.connect(
        path,
        timeout=busy_seconds,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_CACHED_STATEMENTS,
    )
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA case_sensitive_like = ON")
    # NORMAL would lose the last commits in a power failure; a group's commit spreads the cost of FULL.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


class SqliteConnection:
    """One piece of work on a connection of its thread. Its methods never suspend."""

    dialect = Dialect.SQLITE

    def __init__(self, raw: sqlite3.Connection, statements: Counter[str]) -> None:
        self._raw = raw
        self._statements = statements
        self._failed = False

    @property
    def failed(self) -> bool:
        """Whether a statement failed, so that the work may no longer be committed."""
        return self._failed

    async def fetch(self, query: Query, *arguments: object) -> Sequence[Row]:
        cursor = self._run(query, arguments)
        try:
            return cursor.fetchall()
        except DRIVER_ERRORS as error:
            raise self._translated(error) from error

    async def fetch_one(self, query: Query, *arguments: object) -> Row | None:
        # Read to the end: a RETURNING statement left half-way would keep the savepoint from being released.
        rows = await self.fetch(query, *arguments)
        return rows[0] if rows else None

    async def execute(self, query: Query, *arguments: object) -> int:
        cursor = self._run(query, arguments)
        try:
            cursor.fetchall()
            if cursor.rowcount >= 0:
                return cursor.rowcount
            # sqlite3 does not count for a statement that opens with WITH.
            count: int = self._raw.execute("SELECT changes()").fetchone()[0]
        except DRIVER_ERRORS as error:
            raise self._translated(error) from error
        return count

    async def execute_many(self, query: Query, rows: Iterable[Sequence[object]]) -> None:
        self._start(query)
        try:
            self._raw.executemany(query.sqlite, (_bindable(row) for row in rows))
        except DRIVER_ERRORS as error:
            raise self._translated(error) from error

    def _run(self, query: Query, arguments: Sequence[object]) -> sqlite3.Cursor:
        self._start(query)
        try:
            return self._raw.execute(query.sqlite, _bindable(arguments))
        except DRIVER_ERRORS as error:
            raise self._translated(error) from error

    def _start(self, query: Query) -> None:
        if self._failed:
            raise RuntimeError(f"{query.name} was run after a failed statement in the same transaction")
        self._statements[query.name] += 1

    def _translated(self, error: Exception) -> Exception:
        self._failed = True
        return translate(error)


def run(work: Work[T], connection: SqliteConnection) -> T:
    """Runs ``work`` to its end, here and now. Raises RuntimeError if it awaits anything but the connection."""
    steps = work(connection).__await__()
    try:
        next(steps)
    except StopIteration as end:
        result: T = end.value
        return result
    close = getattr(steps, "close", None)
    if close is not None:
        close()
    raise RuntimeError("a store function awaited something else than its connection")


def _bindable(arguments: Sequence[object]) -> Sequence[object]:
    for argument in arguments:
        if isinstance(argument, list | tuple):
            return [_json(each) if isinstance(each, list | tuple) else each for each in arguments]
    return arguments


def _json(values: Sequence[object]) -> str:
    for value in values:
        if isinstance(value, float):
            raise TypeError("a float cannot be passed to SQLite in a list; use execute_many")
        if isinstance(value, str) and "\0" in value:
            raise DataViolation("a NUL character cannot be passed to SQLite in a list")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise DataViolation("an integer in a list does not fit into SQLite's 64 bits")
    return msgspec.json.encode(values).decode()
