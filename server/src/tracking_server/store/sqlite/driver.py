"""SQLite behind the store's contract, through the standard library's sqlite3 on threads of its own."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tracking_server.errors import Unavailable
from tracking_server.store.database import CannotOpen, Dialect, Row, Work
from tracking_server.store.queries import Query
from tracking_server.store.sqlite.threads import Job, Reader, Writer
from tracking_server.store.sqlite.translate import is_locked

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SqliteOptions:
    """Limits of one process's use of the file; times in seconds, a ``statement_timeout`` of 0 sets no limit.

    ``wait_seconds`` bounds both the wait for a thread and the wait for another process's lock;
    the timeout is for reads.
    """

    readers: int = 4
    wait_seconds: float = 5.0
    statement_timeout: float = 60.0


class SqliteDatabase:
    """An SQLite file. Usable from any event loop of this process; other processes may use the file too."""

    dialect = Dialect.SQLITE

    def __init__(self, path: Path, options: SqliteOptions) -> None:
        self._options = options
        self._reads: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._writes: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._writer = Writer("sqlite-writer", path, options.wait_seconds, self._writes)
        self._readers = [
            Reader(f"sqlite-reader-{number}", path, options.wait_seconds, self._reads, options.statement_timeout)
            for number in range(options.readers)
        ]
        self._closing = False
        for worker in (self._writer, *self._readers):
            worker.start()

    @classmethod
    async def open(cls, path: Path | str, options: SqliteOptions | None = None) -> SqliteDatabase:
        """Opens the file, or makes an empty one, with its folder. Raises CannotOpen."""
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return await asyncio.to_thread(cls, path, options or SqliteOptions())
        except (OSError, sqlite3.Error) as error:
            raise CannotOpen(f"{path}: {error}", may_pass=is_locked(error)) from error

    @property
    def statements(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for worker in (self._writer, *self._readers):
            total.update(worker.statements)
        return total

    async def fetch(self, query: Query, *arguments: object) -> Sequence[Row]:
        rows: Sequence[Row] = await self._submit(
            self._reads, lambda connection: connection.fetch(query, *arguments), snapshot=False
        )
        return rows

    async def fetch_one(self, query: Query, *arguments: object) -> Row | None:
        row: Row | None = await self._submit(
            self._reads, lambda connection: connection.fetch_one(query, *arguments), snapshot=False
        )
        return row

    async def write_statement(self, query: Query, *arguments: object) -> Sequence[Row]:
        return await self.write(lambda connection: connection.fetch(query, *arguments))

    async def read(self, work: Work[T]) -> T:
        result: T = await self._submit(self._reads, work)
        return result

    async def write(self, work: Work[T]) -> T:
        result: T = await self._submit(self._writes, work)
        return result

    async def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self._writes.put(None)
        for _ in self._readers:
            self._reads.put(None)
        for worker in (self._writer, *self._readers):
            await asyncio.to_thread(worker.join)

    async def _submit(self, jobs: queue.SimpleQueue[Job | None], work: Work[Any], *, snapshot: bool = True) -> Any:
        if self._closing:
            raise Unavailable("The server is shutting down")
        job = Job(work, snapshot=snapshot)
        jobs.put(job)
        return await job.outcome(self._options.wait_seconds)
