"""Whether the artifact storage answers, asked at most now and then, since probes come every few seconds."""

from __future__ import annotations

import asyncio
import time

from tracking_server.artifacts.destination import ArtifactDestination
from tracking_server.errors import MlflowError

_REMEMBERED_SECONDS = 15.0
_PATIENCE_SECONDS = 5.0


class StorageHealth:
    """The last known state of one destination."""

    def __init__(self, destination: ArtifactDestination) -> None:
        self._destination = destination
        self._state: dict[str, str] = {}
        self._asked = -_REMEMBERED_SECONDS

    async def state(self) -> dict[str, str]:
        """``state`` is ready, unavailable (with a ``reason``) or forwarded; at most 15 seconds old."""
        if not self._destination.is_native:
            return {"state": "forwarded"}
        if time.monotonic() - self._asked >= _REMEMBERED_SECONDS:
            self._asked = time.monotonic()
            self._state = await self._ask()
        return self._state or {"state": "unknown"}

    async def _ask(self) -> dict[str, str]:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._destination.store.check()
        except TimeoutError:
            return {"state": "unavailable", "reason": "no answer"}
        except MlflowError as error:
            return {"state": "unavailable", "reason": error.message}
        return {"state": "ready"}
