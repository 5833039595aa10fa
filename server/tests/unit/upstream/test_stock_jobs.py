"""A stock without background jobs is replaced by one with them when a request needs them, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import psutil
import pytest

from tracking_server.config import Config, ServerSettings, StockJobs, StockSettings, StockStart
from tracking_server.settings import SecretMap
from tracking_server.upstream.forward import Forwarder, StockState
from tracking_server.upstream.process import StockProcess
from tracking_server.upstream.socket_directory import SocketDirectory
from unit.upstream import quick_stock
from unit.upstream.conftest import body_of, request

Start = Callable[..., AbstractAsyncContextManager[Forwarder]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Keeps a quick stock running; gives a worker's way to it."""
    package = tmp_path / "mlflow"
    package.mkdir()
    (package / "__init__.py").touch()
    shutil.copy(quick_stock.__file__, package / "__main__.py")

    @contextlib.asynccontextmanager
    async def running(jobs: StockJobs, start: StockStart = StockStart.EAGER) -> AsyncIterator[Forwarder]:
        directory = SocketDirectory.create(None)
        environment = SecretMap({"PYTHONPATH": str(tmp_path)})
        settings = StockSettings(
            jobs=jobs, start=start, environment=environment, restart_delay=0.1, socket_directory=directory.path
        )
        config = Config(server=ServerSettings(shutdown_grace=5), stock=settings)
        process = StockProcess(config, directory, 5000)
        forwarder = Forwarder(settings)
        keeping = asyncio.create_task(process.run())
        try:
            yield forwarder
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await process.stop()
            await forwarder.close()
            directory.remove(None)

    return running


async def ask(forwarder: Forwarder, path: bytes = b"/", *, needs_jobs: bool = False) -> tuple[int, bool]:
    """The process that answers a POST, and whether it runs jobs."""
    answer = await forwarder.forward(request("POST", path, body=b"body"), needs_jobs=needs_jobs)
    pid, jobs = (await body_of(answer)).split()
    assert answer.status == 200
    return int(pid), jobs == b"true"


async def test_it_is_replaced_once_and_everybody_is_answered(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with start(StockJobs.AUTO) as forwarder:
        first, with_jobs = await ask(forwarder)
        assert not with_jobs
        states: set[StockState] = set()

        async def keep_asking() -> set[tuple[int, bool]]:
            answered: set[tuple[int, bool]] = set()
            while not any(with_jobs for _, with_jobs in answered):
                answered.add(await ask(forwarder))
                states.add(await forwarder.state())
            return answered

        others = [asyncio.create_task(keep_asking()) for _ in range(4)]
        slow = asyncio.create_task(ask(forwarder, b"/slow"))
        (second, with_jobs), again = await asyncio.gather(*(ask(forwarder, needs_jobs=True) for _ in range(2)))
        assert with_jobs
        assert again == (second, True)
        assert await slow == (first, False)
        assert await ask(forwarder) == (second, True)
        assert await asyncio.gather(*others) == [{(first, False), (second, True)}] * 4
        assert states <= {StockState.READY, StockState.STARTING}
        assert caplog.text.count("is started again with them") == 1
        assert "stock MLflow ended" not in caplog.text

        # It keeps them after a crash.
        victim = psutil.Process(second)
        os.kill(second, signal.SIGKILL)
        await asyncio.to_thread(victim.wait, 5)
        answer = await forwarder.forward(request())
        assert (await body_of(answer)).endswith(b" true")
        assert "stock MLflow ended" in caplog.text


@pytest.mark.parametrize(("mode", "restarts"), [(StockStart.LAZY, 0), (StockStart.EAGER, 1)])
async def test_a_stock_that_has_not_started_yet(
    start: Start, caplog: pytest.LogCaptureFixture, mode: StockStart, restarts: int
) -> None:
    """What is still starting without jobs is let finish that; what waits to be wanted has them at once."""
    caplog.set_level("INFO")
    async with start(StockJobs.AUTO, mode) as forwarder:
        if mode is StockStart.EAGER:
            await asyncio.sleep(0.1)
        assert (await ask(forwarder, needs_jobs=True))[1]
        assert caplog.text.count("is started again with them") == restarts


@pytest.mark.parametrize("jobs", [StockJobs.ALWAYS, StockJobs.NEVER])
async def test_where_it_is_decided_nothing_is_replaced(start: Start, jobs: StockJobs) -> None:
    async with start(jobs) as forwarder:
        first = await ask(forwarder)
        assert first[1] is (jobs is StockJobs.ALWAYS)
        assert await ask(forwarder, needs_jobs=True) == first
