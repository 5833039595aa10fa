"""A pool of PostgreSQL connections in which everybody waits, and waits only so long, on one reconnect loop."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import asyncpg

from tracking_server.errors import Unavailable
from tracking_server.store.postgres.translate import DRIVER_ERRORS, cannot_open, may_pass

_log = logging.getLogger(__name__)

Raw: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Connect = Callable[[], Awaitable[Raw]]

_PING_SECONDS = 2.0
_SURPLUS_AFTER_SECONDS = 300.0
_RECOVERY_SECONDS = 5.0
_FIRST_RETRY_SECONDS = 0.05
_LAST_RETRY_SECONDS = 1.0


@dataclass(slots=True, eq=False)
class Lease:
    """A connection lent to one piece of work, and the loop's time of its last use."""

    connection: Raw
    last_used: float


class ConnectionPool:
    """At most ``maximum`` connections, the last used first; more than ``minimum`` of them are closed when idle.

    One task opens connections, one after the other, as long as somebody waits: an outage meets one attempt at a
    time, whatever the load. A connection idle for longer than ``trust_seconds`` must answer before it is used. Not
    safe across threads or loops.
    """

    def __init__(self, connect: Connect, *, minimum: int, maximum: int, trust_seconds: float) -> None:
        self._connect = connect
        self._minimum = minimum
        self._maximum = maximum
        self._trust_seconds = trust_seconds
        self._idle: list[Lease] = []
        self._waiters: deque[asyncio.Future[Lease]] = deque()
        self._open = 0
        self._opener: asyncio.Task[None] | None = None
        self._recoveries: set[asyncio.Task[None]] = set()
        self._away = False

    async def start(self, deadline: float) -> None:
        """Opens the first connections, trying until ``deadline``; raises CannotOpen."""
        while self._open < max(1, self._minimum):
            try:
                connection = await self._connect()
            except DRIVER_ERRORS as error:
                if self._now() > deadline or not may_pass(error):
                    raise cannot_open(error) from error
                await asyncio.sleep(_LAST_RETRY_SECONDS / 4)
                continue
            self._open += 1
            self._idle.append(Lease(connection, self._now()))

    async def acquire(self, deadline: float) -> Lease:
        """A connection that looks alive; raises Unavailable at ``deadline`` (the loop's time)."""
        while True:
            lease = self._take_idle() or await self._wait(deadline)
            if lease.last_used >= self._now() - self._trust_seconds or await self._answers(lease):
                return lease

    def release(self, lease: Lease) -> None:
        """Takes back a connection that is outside a transaction."""
        if lease.connection.is_closed():
            self.discard(lease)
            return
        lease.last_used = self._now()
        self._hand_out(lease)
        if self._idle and self._open > self._minimum:
            oldest = self._idle[0]
            if oldest.last_used < lease.last_used - _SURPLUS_AFTER_SECONDS:
                self._idle.remove(oldest)
                self.discard(oldest)

    def recover(self, lease: Lease) -> None:
        """Takes back a connection inside a transaction: ends that behind the scenes, then lends it again."""
        task = asyncio.get_running_loop().create_task(self._roll_back(lease))
        self._recoveries.add(task)
        task.add_done_callback(self._recoveries.discard)

    def discard(self, lease: Lease) -> None:
        """Takes back a connection that must not be used again."""
        lease.connection.terminate()
        self._open -= 1
        self._ensure_opener()

    def discard_idle(self) -> None:
        """Drops what is idle: one connection was found broken, and to try the others one by one takes too long."""
        idle, self._idle = self._idle, []
        for lease in idle:
            self.discard(lease)

    async def close(self) -> None:
        """Closes every connection; nobody may hold or want one any more."""
        if self._opener is not None:
            self._opener.cancel()
        if self._recoveries:
            await asyncio.wait(self._recoveries)
        idle, self._idle = self._idle, []
        for lease in idle:
            self._open -= 1
            try:
                await lease.connection.close(timeout=_PING_SECONDS)
            except DRIVER_ERRORS:
                lease.connection.terminate()

    def _take_idle(self) -> Lease | None:
        while self._idle:
            lease = self._idle.pop()
            if not lease.connection.is_closed():
                return lease
            self.discard(lease)
        return None

    async def _wait(self, deadline: float) -> Lease:
        future: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
        self._waiters.append(future)
        self._ensure_opener()
        try:
            async with asyncio.timeout_at(deadline):
                return await future
        except TimeoutError:
            self._forget(future)
            if self._open < self._maximum:
                raise Unavailable("The database is not available") from None
            raise Unavailable("All database connections are busy", retry_after=1) from None
        except asyncio.CancelledError:
            self._forget(future)
            raise

    def _forget(self, future: asyncio.Future[Lease]) -> None:
        if future.done() and not future.cancelled():
            self._hand_out(future.result())
        elif future in self._waiters:
            self._waiters.remove(future)

    def _hand_out(self, lease: Lease) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(lease)
                return
        self._idle.append(lease)

    def _ensure_opener(self) -> None:
        wanted = self._waiters and self._open < self._maximum
        if wanted and (self._opener is None or self._opener.done()):
            self._opener = asyncio.get_running_loop().create_task(self._open_wanted())

    async def _open_wanted(self) -> None:
        pause = _FIRST_RETRY_SECONDS
        while self._waiters and self._open < self._maximum:
            try:
                connection = await self._connect()
            except DRIVER_ERRORS as error:
                if not self._away:
                    self._away = True
                    _log.warning("The database cannot be reached: %s: %s", type(error).__name__, error)
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 (jitter, not a secret)
                pause = min(pause * 2, _LAST_RETRY_SECONDS)
                continue
            if self._away:
                self._away = False
                _log.warning("The database is back")
            pause = _FIRST_RETRY_SECONDS
            self._open += 1
            self._hand_out(Lease(connection, self._now()))

    async def _answers(self, lease: Lease) -> bool:
        try:
            await lease.connection.execute("SELECT 1", timeout=_PING_SECONDS)
        except DRIVER_ERRORS:
            self.discard(lease)
            self.discard_idle()
            return False
        except asyncio.CancelledError:
            self.recover(lease)
            raise
        lease.last_used = self._now()
        return True

    async def _roll_back(self, lease: Lease) -> None:
        try:
            await lease.connection.execute("ROLLBACK", timeout=_RECOVERY_SECONDS)
        except DRIVER_ERRORS:
            self.discard(lease)
        else:
            self.release(lease)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
