"""The main process: owns the listening sockets, keeps the workers and stock MLflow running, and ends them in order.

It imports neither MLflow nor the application. Every child holds a pipe to it and ends when the pipe does, so that not
even ``kill -9`` of this process leaves one behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from tracking_server import startup
from tracking_server.config import Config, StockJobs
from tracking_server.exit_codes import ExitCode, FatalError
from tracking_server.job_need import need_of_jobs
from tracking_server.listener import address_of, listen
from tracking_server.maintenance.gc.scheduled import keep_collecting
from tracking_server.store.serving_lock import ServingLock
from tracking_server.upstream.process import StockProcess
from tracking_server.upstream.socket_directory import SocketDirectory, SocketDirectoryError
from tracking_server.worker_process import NeverReady, WorkerProcess

logger = logging.getLogger(__name__)

# What a worker may take beyond the grace that it gives its requests.
_MARGIN = 3.0


def run(config: Config, on_ready: Callable[[int], None] | None = None) -> int:
    """Serves until SIGTERM or SIGINT; returns the exit code. SIGHUP renews the workers, or ends them in a terminal.

    The first signal lets accepted requests finish within ``server.shutdown_grace``, the second ends everything at
    once. ``on_ready`` is called once with the port, when requests are accepted. Raises FatalError when the server
    cannot start. Logging must have been set up.
    """
    with contextlib.ExitStack() as stack:
        # Ours stay open while a worker is replaced, so that connections to its socket wait instead of failing.
        listeners = listen(config.server.host, config.server.port, config.server.worker_count)
        for each in listeners:
            stack.enter_context(each)
        try:
            directory = SocketDirectory.create(config.stock.socket_directory)
        except SocketDirectoryError as error:
            raise FatalError(str(error), ExitCode.BAD_CONFIGURATION) from error
        try:
            return asyncio.run(_Supervisor(config, listeners, directory, on_ready).run())
        finally:
            directory.remove(config.stock.socket_directory)


class _Supervisor:
    def __init__(
        self,
        config: Config,
        listeners: Sequence[socket.socket],
        directory: SocketDirectory,
        on_ready: Callable[[int], None] | None,
    ) -> None:
        self._on_ready = on_ready
        self._directory = directory
        self._config = replace(config, stock=replace(config.stock, socket_directory=directory.path))
        self._listeners = listeners
        self._may_serve = asyncio.Event()
        self._workers = [
            WorkerProcess(number, self._config, listeners[number % len(listeners)], self._may_serve)
            for number in range(1, config.server.worker_count + 1)
        ]
        self._stock = (
            StockProcess(self._config, directory, listeners[0].getsockname()[1]) if config.stock.enabled else None
        )
        self._stopping = asyncio.Event()
        self._forced = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._renewal: asyncio.Task[None] | None = None
        self._lock = ServingLock(self._config, self._on_renew)
        self._locking: asyncio.Task[None] | None = None

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop, number)
        if os.isatty(0):
            # A terminal sends it when it is closed, and a server of its own must not stay behind unseen.
            loop.add_signal_handler(signal.SIGHUP, self._on_stop, signal.SIGHUP)
        else:
            loop.add_signal_handler(signal.SIGHUP, self._on_renew)
        self._tasks = [asyncio.create_task(worker.run()) for worker in self._workers]
        stopped = asyncio.create_task(self._stopping.wait())
        away = asyncio.Event()
        self._locking = asyncio.create_task(self._lock.run())
        # The workers load their modules meanwhile.
        preparing = asyncio.create_task(startup.prepare(self._config, self._lock, away.set))
        try:
            if await self._before(stopped, _either(preparing, away)):
                self._may_serve.set()
                if await self._before(stopped, self._all_ready()):
                    await self._serve(stopped, preparing)
            return await self._shut_down()
        finally:
            for task in (stopped, preparing):
                task.cancel()
            await asyncio.gather(preparing, return_exceptions=True)
            await self._end_at_once()
            # Last: no worker may write when an upgrade can begin.
            self._locking.cancel()
            await asyncio.gather(self._locking, return_exceptions=True)

    async def _serve(self, stopped: asyncio.Task[Any], preparing: asyncio.Task[None]) -> None:
        """Serves until ``stopped``: at first 503 for what needs the database, where that is away."""
        logger.info(
            "accepting requests on %s, worker processes: %d", address_of(self._listeners[0]), len(self._workers)
        )
        if self._on_ready is not None:
            self._on_ready(self._listeners[0].getsockname()[1])
        if await self._first(preparing, stopped) is not preparing:
            return
        if self._stock is not None:
            # Only now: it needs the database, and would take the processor from the workers while they start.
            self._tasks.append(asyncio.create_task(self._keep_stock(self._stock)))
        if self._config.gc.schedule is not None:
            self._tasks.append(asyncio.create_task(keep_collecting(self._config)))
        await self._first(stopped)

    async def _keep_stock(self, stock: StockProcess) -> None:
        if self._config.stock.jobs is StockJobs.AUTO and (reason := await need_of_jobs(self._config)) is not None:
            logger.info("stock MLflow runs background jobs from its start on: %s", reason)
            self._directory.jobs_wanted.touch()
        await stock.run()

    async def _before(self, stopped: asyncio.Task[Any], work: Coroutine[Any, Any, None]) -> bool:
        """Runs ``work``; False where a signal came first."""
        task = asyncio.create_task(work)
        try:
            return await self._first(task, stopped) is task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _first(self, *waiting: asyncio.Future[Any]) -> asyncio.Future[Any]:
        """The first that is done, of these and of the tasks that keep something running, which only end in failure.

        Passes on its exception, as FatalError where a worker could not start.
        """
        keeping = self._tasks if self._locking is None else [*self._tasks, self._locking]
        done, _ = await asyncio.wait((*waiting, *keeping), return_when=asyncio.FIRST_COMPLETED)
        first = done.pop()
        try:
            first.result()
        except NeverReady as error:
            raise FatalError("the server could not start; the lines before this one say why") from error
        return first

    async def _shut_down(self) -> int:
        logger.info("stopping: accepted requests may take %.0f seconds to finish", self._config.server.shutdown_grace)
        # A socket closes for clients when the worker that accepts from it has closed it too.
        for each in self._listeners:
            each.close()
        if self._renewal is not None:
            self._renewal.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        forced = asyncio.create_task(self._forced.wait())
        ending = asyncio.create_task(self._end())
        try:
            await asyncio.wait((forced, ending), return_when=asyncio.FIRST_COMPLETED)
            if ending.done():
                ending.result()
                logger.info("stopped")
                return ExitCode.OK
            logger.warning("stopped at once, by a second signal")
            return ExitCode.FAILURE
        finally:
            forced.cancel()
            ending.cancel()

    async def _end(self) -> None:
        """Ends the workers, then stock, which the workers' last requests may need."""
        for worker in self._workers:
            worker.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._config.server.shutdown_grace + _MARGIN):
                await asyncio.gather(*(worker.wait() for worker in self._workers))
        if self._stock is not None:
            await self._stock.stop()

    async def _end_at_once(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for worker in self._workers:
            worker.kill()
            await worker.wait()
        if self._stock is not None:
            await self._stock.kill()

    async def _all_ready(self) -> None:
        for worker in self._workers:
            await worker.ready.wait()

    def _on_stop(self, number: signal.Signals) -> None:
        if self._stopping.is_set():
            self._forced.set()
        self._stopping.set()

    def _on_renew(self) -> None:
        if not self._stopping.is_set() and (self._renewal is None or self._renewal.done()):
            self._renewal = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        """Replaces the workers one after the other, as for a new certificate; the socket stays open meanwhile."""
        for worker in self._workers:
            await worker.renew()
        logger.info("all workers were renewed")


async def _either(task: asyncio.Task[None], event: asyncio.Event) -> None:
    """Returns when ``task`` is done or ``event`` is set; raises the task's exception."""
    happening = asyncio.create_task(event.wait())
    try:
        await asyncio.wait((task, happening), return_when=asyncio.FIRST_COMPLETED)
    finally:
        happening.cancel()
    if task.done():
        task.result()
