"""One worker as the supervisor sees it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
import socket
import sys

from tracking_server.backoff import Backoff
from tracking_server.config import Config
from tracking_server.worker import READY, Handover

logger = logging.getLogger(__name__)

_FIRST_DELAY = 0.5
_LONGEST_DELAY = 15.0


class NeverReady(Exception):
    """A worker ended before it ever accepted a request."""


class WorkerProcess:
    """Keeps one worker running. ``run`` until cancelled, then ``terminate`` and ``wait``, or ``kill``.

    It loads its modules at once, and serves from when ``may_serve`` is set.
    """

    def __init__(self, number: int, config: Config, listener: socket.socket, may_serve: asyncio.Event) -> None:
        self.number = number
        self._may_serve = may_serve
        self.ready = asyncio.Event()
        self._listener = listener
        self._handover = pickle.dumps(Handover(config, listener.fileno()))
        self._process: asyncio.subprocess.Process | None = None
        self._proven = False
        self._renewing = False

    @property
    def pid(self) -> int | None:
        """The process id, while there is a process."""
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    async def run(self) -> None:
        """Starts the worker, and again whenever it ends. Raises NeverReady when its first start fails by itself."""
        backoff = Backoff(_FIRST_DELAY, _LONGEST_DELAY, immediate=True)
        while True:
            backoff.started()
            code = await self._run_once()
            # A signal, such as the kernel's when memory is short, says nothing about what the worker was given.
            if not self._proven and code >= 0:
                raise NeverReady
            if self._renewing:
                self._renewing = False
                continue
            delay = backoff.delay()
            logger.warning(
                "worker %d ended (%s); another one is started%s",
                self.number,
                f"signal {-code}" if code < 0 else f"exit code {code}",
                f" in {delay:.1f} seconds" if delay else "",
            )
            await asyncio.sleep(delay)

    def terminate(self) -> None:
        """Asks the worker to finish what it has accepted and to end."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    async def renew(self) -> None:
        """Replaces the worker; returns when the new one serves."""
        if self.ready.is_set():
            self._renewing = True
            self.ready.clear()
            self.terminate()
        await self.ready.wait()

    def kill(self) -> None:
        """Ends the worker at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def wait(self) -> None:
        """Returns when the worker has ended."""
        if self._process is not None:
            await self._process.wait()

    async def _run_once(self) -> int:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tracking_server.worker"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=(self._listener.fileno(),),
            # A group of its own, or Ctrl-C would reach it before the supervisor says what to do.
            process_group=0,
        )
        self._process = process
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the worker has no pipes")
        self.ready.clear()
        await self._may_serve_or_end(process)
        process.stdin.write(self._handover)
        while line := await process.stdout.readline():
            if line == READY:
                self._proven = True
                self.ready.set()
        self.ready.clear()
        return await process.wait()

    async def _may_serve_or_end(self, process: asyncio.subprocess.Process) -> None:
        waits = [asyncio.create_task(self._may_serve.wait()), asyncio.create_task(process.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
