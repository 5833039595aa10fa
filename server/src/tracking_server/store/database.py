"""The contract that both databases answer: work runs inside a transaction, on a connection with four verbs.

Store functions are written once against ``Connection``; they await nothing else, because SQLite runs them to the
end on its own thread without an event loop.
"""

from __future__ import annotations

import enum
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

    A violated constraint raises IntegrityViolation; a value the database cannot hold raises DataViolation.
    """

    @property
    def dialect(self) -> Dialect: ...

    async def fetch(self, query: Query, *arguments: object) -> Sequence[Row]: ...

    async def fetch_one(self, query: Query, *arguments: object) -> Row | None: ...

    async def execute(self, query: Query, *arguments: object) -> int:
        """Runs a statement; returns the number of rows it touched."""
        ...

    async def execute_many(self, query: Query, rows: Iterable[Sequence[object]]) -> None: ...


Work = Callable[[Connection], Awaitable[T]]


class Database(Protocol):
    """A database with MLflow's schema in it."""

    @property
    def dialect(self) -> Dialect: ...

    async def read(self, work: Work[T]) -> T:
        """Runs ``work`` in a read-only transaction with one snapshot. Raises Unavailable when it is away."""
        ...

    async def write(self, work: Work[T]) -> T:
        """Runs ``work`` and returns after its commit; an exception from ``work`` rolls its changes back.

        Work may be run again after a deadlock or a lost connection before commit, so it must not keep state.
        """
        ...

    async def close(self) -> None: ...


class StoreError(Exception):
    """Base of what a driver's errors are translated into, once, in the driver."""


class IntegrityViolation(StoreError):
    """A unique, foreign-key, check or not-null constraint refused a row; ``constraint`` is its name if known."""

    def __init__(self, message: str, constraint: str | None = None) -> None:
        super().__init__(message)
        self.constraint = constraint


class DataViolation(StoreError):
    """A value that the column cannot hold: too long, out of range, or a NUL character."""
