"""How long to wait before a process that ended unexpectedly is started again."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

_PROVEN = 60.0


class Backoff:
    """Delays in seconds that double from ``first`` to ``longest``; a process that ran a minute starts afresh.

    With ``immediate`` the first restart waits not at all.
    """

    def __init__(
        self, first: float, longest: float, *, immediate: bool = False, clock: Callable[[], float] = monotonic
    ) -> None:
        self._first = first
        self._longest = longest
        self._immediate = immediate
        self._clock = clock
        self._failures = 0
        self._started = clock()

    def started(self) -> None:
        """The process was started just now."""
        self._started = self._clock()

    def delay(self) -> float:
        """The process has ended: the wait before its next start."""
        if self._clock() - self._started >= _PROVEN:
            self._failures = 0
        doublings = self._failures - (1 if self._immediate else 0)
        self._failures += 1
        return 0.0 if doublings < 0 else min(self._first * 2.0 ** min(doublings, 32), self._longest)
