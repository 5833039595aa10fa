"""The forwarder and the process against the real stock MLflow, on its socket."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import psutil
import pytest
import pytest_asyncio

from support.databases import Databases
from tracking_server.config import ArtifactSettings, Config, DatabaseSettings, ServerSettings, StockSettings
from tracking_server.settings import SecretMap
from tracking_server.settings_database import DatabaseUri
from tracking_server.upstream.forward import Forwarder, StockState
from tracking_server.upstream.process import StockProcess
from tracking_server.upstream.socket_directory import SocketDirectory
from tracking_server.web import ClientDisconnected, Response, StreamingResponse
from unit.upstream.conftest import body_of, request

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEGABYTE = 1024 * 1024
JSON = ((b"content-type", b"application/json"),)
SECRET = "not-for-the-list-of-processes"


@dataclass
class Stock:
    """A running stock with a forwarder to it."""

    process: StockProcess
    forwarder: Forwarder
    directory: SocketDirectory

    def processes(self) -> list[psutil.Process]:
        """The guard, `mlflow server` and its server, in this order."""
        assert self.process.pid is not None
        guard = psutil.Process(self.process.pid)
        return [guard, *guard.children(recursive=True)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stock(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> AsyncIterator[Stock]:
    folder = tmp_path_factory.mktemp("stock")
    directory = SocketDirectory.create(None)
    config = Config(
        server=ServerSettings(shutdown_grace=5),
        database=DatabaseSettings(uri=DatabaseUri.parse(databases.sqlite())),
        artifacts=ArtifactSettings(destination=str(folder / "artifacts")),
        stock=StockSettings(
            restart_delay=0.1,
            environment=SecretMap({"OPENAI_API_KEY": SECRET}),
            socket_directory=directory.path,
        ),
    )
    process = StockProcess(config, directory, 5000)
    forwarder = Forwarder(config.stock)
    running = asyncio.create_task(process.run())
    yield Stock(process, forwarder, directory)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await process.stop()
    await forwarder.close()
    directory.remove(None)


async def test_the_first_request_waits_until_stock_is_up(stock: Stock) -> None:
    answer = await stock.forwarder.forward(request(target=b"/version"))
    assert (answer.status, await body_of(answer)) == (200, b"3.17.2")
    assert await stock.forwarder.state() is StockState.READY


async def test_only_our_user_reaches_the_socket(stock: Stock) -> None:
    assert stat.S_IMODE(stock.directory.path.stat().st_mode) == 0o700


async def test_nothing_secret_is_in_the_list_of_processes(stock: Stock) -> None:
    processes = stock.processes()
    assert len(processes) == 3
    assert any(SECRET in process.environ().values() for process in processes)
    assert not any(SECRET in " ".join(process.cmdline()) for process in processes)


async def test_requests_and_answers_are_stocks_own(stock: Stock) -> None:
    create = request(
        "POST", b"/api/2.0/mlflow/experiments/create", body='{"name": "forwarded é"}'.encode(), headers=JSON
    )
    created = json.loads(await body_of(await stock.forwarder.forward(create)))
    get = request(target=b"/api/2.0/mlflow/experiments/get-by-name?experiment_name=forwarded%20%C3%A9")
    found = json.loads(await body_of(await stock.forwarder.forward(get)))
    assert found["experiment"]["experiment_id"] == created["experiment_id"]
    again = await stock.forwarder.forward(replace(create))
    assert (again.status, json.loads(await body_of(again))["error_code"]) == (400, "RESOURCE_ALREADY_EXISTS")
    index = await stock.forwarder.forward(request(target=b"/"))
    assert b"<title>MLflow</title>" in await body_of(index)
    head = await stock.forwarder.forward(request("HEAD", b"/"))
    assert (head.status, await body_of(head)) == (200, b"")


async def test_an_artifact_streams_up_and_down_in_constant_memory(stock: Stock) -> None:
    """200 MB through the forwarder: our own process grows by far less."""
    chunk = os.urandom(MEGABYTE)
    digest = hashlib.sha256()

    async def upload() -> AsyncIterator[bytes]:
        for _ in range(200):
            digest.update(chunk)
            yield chunk

    target = b"/api/2.0/mlflow-artifacts/artifacts/big/file.bin"
    before = psutil.Process().memory_info().rss
    length = ((b"content-length", str(200 * MEGABYTE).encode()),)
    answer = await stock.forwarder.forward(request("PUT", target, body=upload(), headers=length))
    assert answer.status == 200, await body_of(answer)
    down = await stock.forwarder.forward(request(target=target))
    assert isinstance(down, StreamingResponse)
    received = hashlib.sha256()
    size = 0
    async for part in down.chunks:
        received.update(part)
        size += len(part)
    assert (size, received.hexdigest()) == (200 * MEGABYTE, digest.hexdigest())
    assert psutil.Process().memory_info().rss - before < 60 * MEGABYTE


async def test_the_client_is_who_the_door_says(stock: Stock) -> None:
    """Stock opens its assistant to clients on its own machine alone; X-Forwarded-For from outside must not help."""
    target = b"/ajax-api/3.0/mlflow/assistant/providers/claude_code/health"
    lie = ((b"x-forwarded-for", b"127.0.0.1"),)
    far = await stock.forwarder.forward(request(target=target, headers=lie))
    near = await stock.forwarder.forward(replace(request(target=target), client_host="127.0.0.1"))
    assert far.status == 403
    assert near.status != 403


@pytest.mark.parametrize(
    "victim",
    [
        pytest.param(0, id="guard", marks=pytest.mark.slow),
        pytest.param(1, id="mlflow", marks=pytest.mark.slow),
        pytest.param(2, id="server"),
    ],
)
async def test_stock_killed_comes_back_and_leaves_nothing(stock: Stock, victim: int) -> None:
    await stock.forwarder.forward(request(target=b"/version"))
    before = stock.processes()
    os.kill(before[victim].pid, signal.SIGKILL)
    _, alive = await asyncio.to_thread(psutil.wait_procs, before, 10)
    assert alive == []
    assert await stock.forwarder.state() is StockState.RESTARTING
    # Reads wait for the new one.
    answer = await stock.forwarder.forward(request(target=b"/version"))
    assert isinstance(answer, Response)
    assert answer.body == b"3.17.2"


async def test_a_client_that_leaves_leaves_stock_in_peace(stock: Stock) -> None:
    async def gone() -> None:
        await asyncio.sleep(0.01)

    with contextlib.suppress(ClientDisconnected):
        await body_of(await stock.forwarder.forward(replace(request(), wait_disconnect=gone)))
    assert (await stock.forwarder.forward(request(target=b"/health"))).status == 200
