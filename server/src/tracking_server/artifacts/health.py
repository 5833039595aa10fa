"""Whether the artifact storage answers, asked at most now and then, since probes come every few seconds."""

from __future__ import annotations

import asyncio
import time

from tracking_server.artifacts.destination import ArtifactDestination
from tracking_server.errors import MlflowError

_READY = {"state": "ready"}
_NO_ANSWER = {"state": "unavailable", "reason": "no answer"}


class StorageHealth:
    """The last known state of one destination.

    ``remembered`` is for how many seconds it is not asked again, and ``patience`` for how many it may take to answer.
    """

    def __init__(self, destination: ArtifactDestination, *, remembered: float = 15.0, patience: float = 5.0) -> None:
        self._destination = destination
        self._remembered = remembered
        self._patience = patience
        self._state: dict[str, str] = {}
        self._asked = -remembered
        self._missed = False

    async def state(self) -> dict[str, str]:
        """``state`` is ready, unavailable (with a ``reason``), forwarded, or unknown before the first answer."""
        if not self._destination.is_native:
            return {"state": "forwarded"}
        if time.monotonic() - self._asked >= self._remembered:
            self._asked = time.monotonic()
            found = await self._ask()
            # One late answer is more often a busy machine than a lost store: the next probe asks at once.
            self._missed = found == _NO_ANSWER and self._state == _READY and not self._missed
            if self._missed:
                self._asked = -self._remembered
            else:
                self._state = found
        return self._state or {"state": "unknown"}

    async def _ask(self) -> dict[str, str]:
        try:
            async with asyncio.timeout(self._patience):
                await self._destination.store.check()
        except TimeoutError:
            return _NO_ANSWER
        except MlflowError as error:
            return {"state": "unavailable", "reason": error.message}
        return _READY
