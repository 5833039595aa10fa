"""Concurrent writes share one transaction, and each is answered after its commit."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from tracking_server.errors import Unavailable

E = TypeVar("E")

WriteGroup = Callable[[Sequence[E]], Awaitable[Sequence[Exception | None]]]


class GroupCommit(Generic[E]):
    """Collects what is submitted while a group is being written, and writes that as the next group.

    ``write_group`` commits a group and says of each entry how it failed (None: it is stored). ``weigh`` gives an
    entry's size, of which a group holds at most ``max_weight`` unless one entry alone is heavier.
    """

    def __init__(self, write_group: WriteGroup[E], weigh: Callable[[E], int], max_weight: int) -> None:
        self._write_group = write_group
        self._weigh = weigh
        self._max_weight = max_weight
        self._pending: deque[tuple[E, asyncio.Future[None]]] = deque()
        self._writing: asyncio.Task[None] | None = None
        self._closing = False

    async def submit(self, entry: E) -> None:
        """Returns once the entry is committed; raises what kept it from being stored."""
        if self._closing:
            raise Unavailable("The server is shutting down")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((entry, future))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_pending())
        await future

    async def close(self) -> None:
        """Refuses new entries and returns when all accepted ones are answered."""
        self._closing = True
        if self._writing is not None:
            await self._writing

    async def _write_pending(self) -> None:
        try:
            while self._pending:
                await self._write(self._next_group())
        finally:
            self._writing = None

    def _next_group(self) -> list[tuple[E, asyncio.Future[None]]]:
        group = [self._pending.popleft()]
        weight = self._weigh(group[0][0])
        while self._pending:
            weight += self._weigh(self._pending[0][0])
            if weight > self._max_weight:
                break
            group.append(self._pending.popleft())
        return group

    async def _write(self, group: list[tuple[E, asyncio.Future[None]]]) -> None:
        outcomes: Sequence[Exception | None]
        try:
            outcomes = await self._write_group([entry for entry, _ in group])
        except Exception as error:
            # Whatever it is, it belongs to the requests of this group; later groups go on.
            outcomes = [error] * len(group)
        for (_, future), outcome in zip(group, outcomes, strict=True):
            # A client that went away has cancelled its future; its entry is stored all the same.
            if future.done():
                continue
            if outcome is None:
                future.set_result(None)
            else:
                future.set_exception(outcome)
