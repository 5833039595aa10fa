"""The contract that both databases answer: work runs inside a transaction, on a connection with four verbs.

Store functions are written once against ``Connection``; they await nothing else, because SQLite runs them to the
end on its own thread without an event loop.

Values. PostgreSQL is strictly typed: an argument must have the Python type of its placeholder (``int`` for bigint and
integer, ``float`` or ``int`` for double precision, ``str`` for text, ``bool`` for boolean, a list for ``$1::text[]``);
a ``str`` for an integer is a TypeError, a programming error. SQLite takes any of these and differs in a few ways:

* booleans come back as 0 and 1;
* a NaN is stored as NULL (MLflow's schema has ``is_nan`` columns, so NaN should never get this far);
* a stored -0.0 comes back as 0.0;
* a list is bound as one JSON array, to be read with ``json_each(?1)``; it may hold ``str``, ``int``, ``bool`` and None
  but not ``float`` (SQLite's JSON knows no infinities); use ``execute_many`` for rows with floats;
* text may hold NUL characters, which PostgreSQL refuses with DataViolation.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from tracking_server.store.queries import Query

T = TypeVar("T")


class Dialect(enum.StrEnum):
    """The databases that native handlers know."""

    POSTGRESQL = "postgresql"
    SQLITE = "sqlite"


class Row(Protocol):
    """A result row, read by position or by column name (asyncpg.Record, sqlite3.Row)."""

    def __getitem__(self, key: Any, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...


class Connection(Protocol):
    """A connection inside a transaction. Arguments fill the query's ``$1``, ``$2``, … placeholders.

    A violated constraint raises IntegrityViolation; a value the database cannot hold raises DataViolation. After
    either the transaction is over: more statements fail, and so does the commit if the error was swallowed. Use
    ``ON CONFLICT`` where a conflict is expected.
    """

    @property
    def dialect(self) -> Dialect: ...

    async def fetch(self, query: Query, *arguments: object) -> Sequence[Row]: ...

    async def fetch_one(self, query: Query, *arguments: object) -> Row | None:
        """The first row, or None when there is none."""
        ...

    async def execute(self, query: Query, *arguments: object) -> int:
        """Runs a statement; returns the number of rows it touched."""
        ...

    async def execute_many(self, query: Query, rows: Iterable[Sequence[object]]) -> None:
        """Runs a statement once per row of arguments, in one round trip."""
        ...


Work = Callable[[Connection], Awaitable[T]]


class Database(Protocol):
    """A database with MLflow's schema in it.

    Every method raises Unavailable when the database is away, or all connections are busy, for longer than the
    configured wait; and MlflowError DEADLINE_EXCEEDED when a statement runs longer than it may.
    """

    @property
    def dialect(self) -> Dialect: ...

    @property
    def statements(self) -> Counter[str]:
        """How often each named query ran on this object so far: a copy, to subtract an earlier one from."""
        ...

    async def fetch(self, query: Query, *arguments: object) -> Sequence[Row]:
        """Runs one reading statement without a transaction around it: one round trip instead of three."""
        ...

    async def fetch_one(self, query: Query, *arguments: object) -> Row | None:
        """As ``fetch``, for the first row."""
        ...

    async def write_statement(self, query: Query, *arguments: object) -> Sequence[Row]:
        """Runs one writing statement that commits by itself, and returns its rows.

        It may be run again after its commit, when a connection was lost: then it must change nothing, or fail.
        """
        ...

    async def read(self, work: Work[T]) -> T:
        """Runs ``work``, which needs several statements, in a read-only transaction with one snapshot."""
        ...

    async def write(self, work: Work[T]) -> T:
        """Runs ``work`` and returns after its commit; an exception from ``work`` rolls its changes back.

        Work may be run again after a deadlock or a lost connection before commit, so it must not keep state. A
        connection lost during the commit raises Unavailable: the outcome is then unknown, and nothing is run again.
        """
        ...

    async def close(self) -> None:
        """Refuses new work, waits for what was accepted, then closes every connection."""
        ...


def columns_of(rows: Iterable[Sequence[object]]) -> list[list[object]]:
    """The columns of ``rows``, of which each is one argument for PostgreSQL's ``unnest``; none for no row."""
    return [list(column) for column in zip(*rows, strict=True)]


class StoreError(Exception):
    """Base of what a driver's errors are translated into, once, in the driver."""


class IntegrityViolation(StoreError):
    """A unique, foreign-key, check or not-null constraint refused a row.

    ``constraint`` is its name if known; SQLite names a check constraint, but for others only columns
    (``experiments.name``), and nothing for a foreign key.
    """

    def __init__(self, message: str, constraint: str | None = None) -> None:
        super().__init__(message)
        self.constraint = constraint


class DataViolation(StoreError):
    """A value that the column cannot hold: too long, out of range, or a NUL character."""


class CannotOpen(StoreError):
    """The database could not be opened; ``may_pass`` tells whether to try again is of any use."""

    def __init__(self, message: str, *, may_pass: bool) -> None:
        super().__init__(message)
        self.may_pass = may_pass
