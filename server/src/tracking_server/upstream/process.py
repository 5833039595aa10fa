"""Keeps one unpatched `mlflow server` running on its private Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from pathlib import Path

from tracking_server.backoff import Backoff
from tracking_server.config import Config, StockStart
from tracking_server.upstream.command import stock_command, stock_environment
from tracking_server.upstream.forward import health
from tracking_server.upstream.socket_directory import SocketDirectory

logger = logging.getLogger("tracking_server.stock")

_GUARD = Path(__file__).with_name("guard.py")
_POLL = 0.1
_LONGEST_LINE = 16 * 1024
# Untrue behind our door, which does what the middleware would.
_UNTRUE_WARNING = b"Security middleware is DISABLED", b"vulnerable to various attacks"


class StockProcess:
    """Stock MLflow as the supervisor sees it. ``run`` keeps it up; cancel ``run``, then ``stop`` to end it."""

    def __init__(self, config: Config, directory: SocketDirectory, port: int) -> None:
        self._settings = config.stock
        self._grace = config.server.shutdown_grace
        self._directory = directory
        self._command = stock_command(config, directory.socket, port)
        self._environment = stock_environment(config)
        self._guard: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The process group of stock and of all that it started, while it runs."""
        return None if self._guard is None else self._guard.pid

    async def run(self) -> None:
        """Starts stock, at once or when a request wants it, and again whenever it ends."""
        backoff = Backoff(self._settings.restart_delay, self._settings.restart_delay_max)
        if self._settings.start is StockStart.LAZY:
            await self._wanted()
        while True:
            backoff.started()
            await self._run_once()
            delay = backoff.delay()
            logger.warning("stock MLflow ended; it is started again in %.1f seconds", delay)
            await asyncio.sleep(delay)

    async def stop(self) -> None:
        """Ends stock and all that it started: politely, and after the shutdown grace for certain."""
        guard = self._guard
        if guard is None or guard.stdin is None:
            return
        guard.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(guard.wait(), self._grace + 2)
        self.kill()

    def kill(self) -> None:
        """Ends stock and its process group at once."""
        if self._guard is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._guard.pid, signal.SIGKILL)

    async def _run_once(self) -> None:
        self._directory.socket.unlink(missing_ok=True)
        guard = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(_GUARD), str(self._grace), *self._command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._environment,
            start_new_session=True,
        )
        self._guard = guard
        helpers = [asyncio.create_task(self._announce_ready())]
        if guard.stdout is not None:
            helpers.append(asyncio.create_task(_log_lines(guard.stdout)))
        try:
            await guard.wait()
            # The guard may have been killed itself; then its group is still there.
            self.kill()
            await asyncio.sleep(_POLL)
        finally:
            for helper in helpers:
                helper.cancel()

    async def _announce_ready(self) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        overdue = started + self._settings.start_timeout
        while True:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(2):
                    if await health(self._directory):
                        break
            if loop.time() >= overdue:
                logger.warning("stock MLflow does not answer after %.0f seconds", self._settings.start_timeout)
                overdue = float("inf")
            await asyncio.sleep(_POLL)
        self._directory.was_ready.touch()
        logger.info("stock MLflow is ready after %.1f seconds", loop.time() - started)

    async def _wanted(self) -> None:
        while not self._directory.wanted.exists():  # noqa: ASYNC110  a file, from another process, has no event
            await asyncio.sleep(_POLL)


async def _log_lines(stream: asyncio.StreamReader) -> None:
    """Logs what stock prints line by line; a line without end is cut."""
    rest = b""
    while data := await stream.read(_LONGEST_LINE):
        *lines, rest = (rest + data).split(b"\n")
        if len(rest) >= _LONGEST_LINE:
            lines, rest = [*lines, rest], b""
        for line in lines:
            if line.strip() and not any(part in line for part in _UNTRUE_WARNING):
                logger.info("%s", line.decode("utf-8", "replace").rstrip())
