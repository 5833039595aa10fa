"""How much one transaction does, and how fast they follow each other."""

from __future__ import annotations

import asyncio
import time

_FEWEST_ROWS, _MOST_ROWS = 200, 50_000
_FEWEST_ENTITIES, _MOST_ENTITIES = 4, 512


class Pace:
    """The size of transactions, by how long they take: grows below a third of ``longest`` seconds, shrinks above it.

    ``share`` is the part of the time in which they may run.
    """

    def __init__(self, longest: float, share: float = 1.0) -> None:
        self.rows = 2_000
        self.entities = 32
        self.longest = longest
        self._rest = 1 / share - 1

    @property
    def is_least(self) -> bool:
        """Whether transactions cannot be smaller: what they take then, they take."""
        return self.rows <= _FEWEST_ROWS and self.entities <= _FEWEST_ENTITIES

    async def learn(self, seconds: float) -> None:
        """Adapts to the last transaction's length and rests, so that others get the database."""
        if seconds > self.longest:
            self.rows = max(_FEWEST_ROWS, self.rows // 2)
            self.entities = max(_FEWEST_ENTITIES, self.entities // 2)
        elif seconds < self.longest / 3:
            self.rows = min(_MOST_ROWS, self.rows * 2)
            self.entities = min(_MOST_ENTITIES, self.entities * 2)
        if self._rest:
            await asyncio.sleep(seconds * self._rest)


class Throttle:
    """At most ``rate`` rows and objects a second (None for no limit)."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._free_at = time.monotonic()

    async def spend(self, units: int) -> None:
        """Waits until ``units`` more are allowed."""
        if self._rate is None:
            return
        now = time.monotonic()
        self._free_at = max(now, self._free_at) + units / self._rate
        await asyncio.sleep(self._free_at - now)
