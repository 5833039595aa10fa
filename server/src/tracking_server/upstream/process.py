"""Keeps one unpatched `mlflow server` running on its private Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from tracking_server.backoff import Backoff
from tracking_server.config import Config, StockJobs, StockStart
from tracking_server.logs import ChildLines
from tracking_server.upstream.command import stock_command, stock_environment
from tracking_server.upstream.forward import health
from tracking_server.upstream.socket_directory import SocketDirectory

logger = logging.getLogger(__name__)

_GUARD = Path(__file__).with_name("guard.py")
_POLL = 0.1
_MARGIN = 2.0
# What a worker has begun to send when the socket goes away has arrived by then.
_LAST_ARRIVALS = 0.5
_LONGEST_LINE = 16 * 1024
# Untrue behind our door, which does what the middleware would.
_UNTRUE_WARNING = b"Security middleware is DISABLED", b"vulnerable to various attacks"


class StockProcess:
    """Stock MLflow as the supervisor sees it. ``run`` keeps it up; cancel ``run``, then ``stop`` or ``kill``."""

    def __init__(self, config: Config, directory: SocketDirectory, port: int) -> None:
        self._config = config
        self._settings = config.stock
        self._grace = config.server.shutdown_grace
        self._directory = directory
        self._command = stock_command(config, directory.socket, port)
        self._guard: asyncio.subprocess.Process | None = None
        self._resources = contextlib.AsyncExitStack()

    @property
    def pid(self) -> int | None:
        """The process group of stock and of all that it started, while it runs."""
        return None if self._guard is None or self._guard.returncode is not None else self._guard.pid

    async def run(self) -> None:
        """Starts stock, at once or when a request wants it, and again whenever it ends.

        Where background jobs may wait, it is started with them once ``SocketDirectory.jobs_wanted`` is there; one that
        runs without them is replaced then.
        """
        backoff = Backoff(self._settings.restart_delay, self._settings.restart_delay_max)
        if self._settings.start is StockStart.LAZY:
            await _appears(self._directory.wanted)
        output = await self._resources.enter_async_context(_logged_pipe())
        while True:
            backoff.started()
            with_jobs = self._needs_jobs()
            await self._run_once(output, with_jobs)
            if not with_jobs and self._needs_jobs():
                continue
            delay = backoff.delay()
            logger.warning("stock MLflow ended; it is started again in %.1f seconds", delay)
            await asyncio.sleep(delay)

    async def stop(self) -> None:
        """Ends stock and all that it started: politely, and after the shutdown grace for certain."""
        if self._guard is not None:
            await self._end(self._guard)
        await self._resources.aclose()

    async def kill(self) -> None:
        """Ends stock and its process group at once."""
        if self._guard is not None:
            await _kill_group(self._guard)
        await self._resources.aclose()

    def _needs_jobs(self) -> bool:
        if self._settings.jobs is StockJobs.AUTO:
            return self._directory.jobs_wanted.exists()
        return self._settings.jobs is StockJobs.ALWAYS

    async def _end(self, guard: asyncio.subprocess.Process) -> None:
        if guard.stdin is not None:
            guard.stdin.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(guard.wait(), self._grace + _MARGIN)
        await _kill_group(guard)

    async def _run_once(self, output: int, with_jobs: bool) -> None:
        self._directory.socket.unlink(missing_ok=True)
        if with_jobs:
            self._directory.with_jobs.touch()
        guard = self._guard = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(_GUARD), str(self._grace), *self._command),
            stdin=asyncio.subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=stock_environment(self._config, with_jobs=with_jobs),
            start_new_session=True,
        )
        beside = [asyncio.create_task(self._announce_ready())]
        if self._settings.jobs is StockJobs.AUTO and not with_jobs:
            beside.append(asyncio.create_task(self._end_for_jobs(guard, beside[0])))
        try:
            await guard.wait()
            # The guard may have been killed itself; then its group is still there.
            await _kill_group(guard)
        finally:
            for task in beside:
                task.cancel()

    async def _end_for_jobs(self, guard: asyncio.subprocess.Process, ready: asyncio.Task[None]) -> None:
        """Ends a stock without background jobs when they are wanted; what it has in hand it finishes."""
        await _appears(self._directory.jobs_wanted)
        # It may be making the tables of a database that only it knows.
        await ready
        logger.info("a request needs MLflow's background jobs: stock MLflow is started again with them")
        self._directory.was_ready.unlink(missing_ok=True)
        self._directory.socket.unlink(missing_ok=True)
        await asyncio.sleep(_LAST_ARRIVALS)
        await self._end(guard)

    async def _announce_ready(self) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        overdue = started + self._settings.start_timeout
        while not await self._answers():
            if loop.time() >= overdue:
                logger.warning("stock MLflow does not answer after %.0f seconds", self._settings.start_timeout)
                overdue = float("inf")
            await asyncio.sleep(_POLL)
        self._directory.was_ready.touch()
        logger.info("stock MLflow is ready after %.1f seconds", loop.time() - started)

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(2):
                return await health(self._directory)
        except (OSError, TimeoutError):
            return False


async def _appears(marker: Path) -> None:
    while not marker.exists():  # noqa: ASYNC110, ASYNC240  a file, from another process, has no event
        await asyncio.sleep(_POLL)


async def _kill_group(guard: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(guard.pid, signal.SIGKILL)
    await guard.wait()


@contextlib.asynccontextmanager
async def _logged_pipe() -> AsyncIterator[int]:
    """A descriptor to print to: each line is logged under stock's label.

    One for all of stock's lives, and ours: what a dead stock left behind may hold its end open for long.
    """
    reading, writing = os.pipe()
    stream = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reading, "rb")
    )
    logging_task = asyncio.create_task(_log_lines(stream))
    try:
        yield writing
    finally:
        logging_task.cancel()
        transport.close()
        os.close(writing)


async def _log_lines(stream: asyncio.StreamReader) -> None:
    """Logs what stock prints line by line; a line without end is cut."""
    labelled = ChildLines("stock")
    rest = b""
    while data := await stream.read(_LONGEST_LINE):
        *lines, rest = (rest + data).split(b"\n")
        if len(rest) >= _LONGEST_LINE:
            lines, rest = [*lines, rest], b""
        for line in lines:
            if not any(part in line for part in _UNTRUE_WARNING):
                labelled.relay(line)
