"""Concurrent writes share one transaction, and each is answered after its commit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from tracking_server.errors import Unavailable
from tracking_server.store.database import StoreError

E = TypeVar("E")
R = TypeVar("R")

_MAX_ROWS = 1000

WriteGroup = Callable[[Sequence[E]], Awaitable[Sequence[R | Exception]]]


@dataclass(slots=True, eq=False)
class _Pending(Generic[E, R]):
    entry: E
    owner: str
    weight: int
    answer: asyncio.Future[R]


class GroupCommit(Generic[E, R]):
    """Collects what is submitted while a group is being written, and writes that as the next group.

    ``write_group`` commits a group and gives each entry's result, or the exception that tells why it is not stored;
    where it raises StoreError nothing is, and the entries are written one by one. ``weigh`` gives an entry's size, of
    which a group holds at most ``max_weight`` unless one entry alone is heavier. Where more than ``crowd`` waits, a
    second group is written beside the first; None for a database with one writer. Entries of one ``owner`` are never
    written by two at a time, and go in the order in which they came.
    """

    def __init__(
        self,
        write_group: WriteGroup[E, R],
        weigh: Callable[[E], int],
        owner: Callable[[E], str],
        max_weight: int = _MAX_ROWS,
        crowd: int | None = None,
    ) -> None:
        self._write_group = write_group
        self._weigh = weigh
        self._owner = owner
        self._max_weight = max_weight
        self._crowd = crowd
        self._pending: list[_Pending[E, R]] = []
        self._waiting = 0
        self._writers: set[asyncio.Task[None]] = set()
        self._in_writing: set[str] = set()
        self._closing = False

    async def submit(self, entry: E) -> R:
        """Returns the entry's result once it is committed; raises what kept it from being stored."""
        if self._closing:
            raise Unavailable("The server is shutting down")
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        pending = _Pending(entry, self._owner(entry), self._weigh(entry), future)
        self._pending.append(pending)
        self._waiting += pending.weight
        if len(self._writers) < self._wanted_writers():
            self._writers.add(asyncio.create_task(self._write_pending()))
        return await future

    async def close(self) -> None:
        """Refuses new entries and returns when all accepted ones are answered."""
        self._closing = True
        await asyncio.gather(*self._writers)

    def _wanted_writers(self) -> int:
        return 2 if self._crowd is not None and self._waiting > self._crowd else 1

    async def _write_pending(self) -> None:
        try:
            while group := self._next_group():
                owners = {each.owner for each in group}
                self._in_writing |= owners
                await self._write(group)
                self._in_writing -= owners
        finally:
            # At once, not by a callback: what comes after the last look needs a writer of its own.
            writer = asyncio.current_task()
            assert writer is not None
            self._writers.discard(writer)

    def _next_group(self) -> list[_Pending[E, R]]:
        """Takes what may be written now; the rest waits for the group in which its owner's entries are."""
        group: list[_Pending[E, R]] = []
        left: list[_Pending[E, R]] = []
        passed_over = set(self._in_writing)
        total = 0
        for each in self._pending:
            if each.owner in passed_over or (group and total + each.weight > self._max_weight):
                left.append(each)
                passed_over.add(each.owner)
            else:
                group.append(each)
                total += each.weight
        self._pending = left
        self._waiting -= total
        return group

    async def _write(self, group: Sequence[_Pending[E, R]]) -> None:
        outcomes = await self._outcomes([each.entry for each in group])
        for each, outcome in zip(group, outcomes, strict=True):
            # A client that went away has cancelled its future; its entry is stored all the same.
            if each.answer.done():
                continue
            if isinstance(outcome, Exception):
                each.answer.set_exception(outcome)
            else:
                each.answer.set_result(outcome)

    async def _outcomes(self, entries: Sequence[E]) -> Sequence[R | Exception]:
        try:
            return await self._write_group(entries)
        except StoreError as error:
            if len(entries) == 1:
                return [error]
        except Exception as error:
            # Whatever it is, it belongs to the requests of this group; later groups go on.
            return [error] * len(entries)
        # One entry's value does not fit: written one by one, only that one fails.
        return [(await self._outcomes([entry]))[0] for entry in entries]
