"""Concurrent writes share one transaction, and each is answered after its commit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from tracking_server.errors import Unavailable

E = TypeVar("E")

WriteGroup = Callable[[Sequence[E]], Awaitable[Sequence[Exception | None]]]


@dataclass(slots=True, eq=False)
class _Pending(Generic[E]):
    entry: E
    owner: str
    weight: int
    answer: asyncio.Future[None]


class GroupCommit(Generic[E]):
    """Collects what is submitted while a group is being written, and writes that as the next group.

    ``write_group`` commits a group and says of each entry how it failed (None: it is stored). ``weigh`` gives an
    entry's size, of which a group holds at most ``max_weight`` unless one entry alone is heavier. Where more than
    ``crowd`` waits, a second group is written beside the first; None for a database with one writer. Entries of one
    ``owner`` are never written by two at a time, and go in the order in which they came.
    """

    def __init__(
        self,
        write_group: WriteGroup[E],
        weigh: Callable[[E], int],
        owner: Callable[[E], str],
        max_weight: int,
        crowd: int | None = None,
    ) -> None:
        self._write_group = write_group
        self._weigh = weigh
        self._owner = owner
        self._max_weight = max_weight
        self._crowd = crowd
        self._pending: list[_Pending[E]] = []
        self._waiting = 0
        self._writers: set[asyncio.Task[None]] = set()
        self._in_writing: set[str] = set()
        self._closing = False

    async def submit(self, entry: E) -> None:
        """Returns once the entry is committed; raises what kept it from being stored."""
        if self._closing:
            raise Unavailable("The server is shutting down")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        pending = _Pending(entry, self._owner(entry), self._weigh(entry), future)
        self._pending.append(pending)
        self._waiting += pending.weight
        if len(self._writers) < self._wanted_writers():
            self._writers.add(asyncio.create_task(self._write_pending()))
        await future

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

    def _next_group(self) -> list[_Pending[E]]:
        """Takes what may be written now; the rest waits for the group in which its owner's entries are."""
        group: list[_Pending[E]] = []
        left: list[_Pending[E]] = []
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

    async def _write(self, group: Sequence[_Pending[E]]) -> None:
        outcomes: Sequence[Exception | None]
        try:
            outcomes = await self._write_group([each.entry for each in group])
        except Exception as error:
            # Whatever it is, it belongs to the requests of this group; later groups go on.
            outcomes = [error] * len(group)
        for each, outcome in zip(group, outcomes, strict=True):
            # A client that went away has cancelled its future; its entry is stored all the same.
            if each.answer.done():
                continue
            if outcome is None:
                each.answer.set_result(None)
            else:
                each.answer.set_exception(outcome)
