"""Processes killed, drained and replaced: the real command with real clients."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psutil
import pytest

from durability.running import FORWARDED, NATIVE, eventually, get, guard, workers
from support.databases import Databases
from support.fixtures import Starter
from support.ours import TrackingServer
from support.processes import LOCALHOST

S3_SECRET = "s3-secret-for-the-test"


def make(tmp_path: Path, uri: str, *, grace: float = 20, stock_start: str = "lazy") -> TrackingServer:
    return TrackingServer(
        tmp_path / "server",
        database_uri=uri,
        artifacts_destination=str(tmp_path / "artifacts"),
        workers=2,
        settings={
            "server": {"shutdown_grace": grace},
            "artifacts": {"s3_access_key_id": "test", "s3_secret_access_key": S3_SECRET},
            "stock": {"start": stock_start, "restart_delay": 0.2},
        },
    )


def exit_code(server: TrackingServer) -> int | None:
    """The exit code of a server that is ending by itself: SIGCONT changes nothing."""
    server.stop_signal = signal.SIGCONT
    return server.stop()


def refuses(server: TrackingServer) -> bool:
    """Whether the port is closed."""
    try:
        socket.create_connection((LOCALHOST, server.port)).close()
    except ConnectionRefusedError:
        return True
    return False


class Unfinished:
    """A request whose header has been sent and whose body waits."""

    BODY = b'{"name": "unfinished"}'

    def __init__(self, server: TrackingServer) -> None:
        # Each worker has a socket of its own, and the first may answer while the second loads.
        eventually(lambda: "accepting requests" in server.logs())
        self._socket = socket.create_connection((LOCALHOST, server.port), timeout=150)
        self._socket.sendall(
            b"POST /api/2.0/mlflow/experiments/create HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(self.BODY)
        )
        # The handler waits for the body now.
        assert self._socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"

    def finish(self) -> http.client.HTTPResponse:
        self._socket.sendall(self.BODY)
        response = http.client.HTTPResponse(self._socket)
        response.begin()
        return response

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(scope="class")
def server(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[TrackingServer]:
    with ExitStack() as stack:
        start = Starter(stack)
        # Stock is started by the first request that needs it, so that what comes before that is certain.
        yield start(make(tmp_path_factory.mktemp("supervised"), databases.sqlite()))


class TestOneServer:
    """Things that a server survives."""

    def test_native_requests_do_not_wait_for_stock(self, server: TrackingServer) -> None:
        assert "stock MLflow is ready" not in server.logs()
        assert get(server, NATIVE) == (200, b"3.17.2")
        assert json.loads(get(server, "/-/ready")[1])["stock"]["state"] == "starting"

    def test_forwarded_requests_wait_for_stock(self, server: TrackingServer) -> None:
        status, body = get(server, FORWARDED)
        assert status == 200, body
        assert json.loads(get(server, "/-/ready")[1])["stock"]["state"] == "ready"

    def test_nothing_secret_is_in_the_list_of_processes(self, server: TrackingServer) -> None:
        lines = [" ".join(psutil.Process(pid).cmdline()) for pid in server.pids()]
        assert len(lines) >= 6
        assert not any(S3_SECRET in line for line in lines)
        assert S3_SECRET not in server.logs()

    def test_the_socket_is_in_a_private_folder(self, server: TrackingServer) -> None:
        line = " ".join(guard(server).cmdline())
        folder = Path(line.split("--uds ")[1].split()[0]).parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    def test_serving_processes_do_not_import_mlflow(self, server: TrackingServer) -> None:
        for process in (psutil.Process(server.pid), *workers(server)):
            assert process.memory_info().rss < 150 * 1024 * 1024
            assert not any("sqlalchemy" in mapping.path for mapping in process.memory_maps())

    def test_a_killed_worker_is_replaced_while_the_port_answers(self, server: TrackingServer) -> None:
        before = workers(server)
        before[0].kill()
        before[0].wait(30)
        for _ in range(40):
            assert get(server, NATIVE)[0] == 200
            time.sleep(0.02)
        after = eventually(lambda: workers(server) if len(workers(server)) == 2 else None)
        assert after is not None
        assert {each.pid for each in after} != {each.pid for each in before}
        assert before[1].is_running()

    def test_both_workers_killed_come_back(self, server: TrackingServer) -> None:
        for worker in workers(server):
            worker.kill()
            worker.wait(30)
        # The socket stays open, so this waits instead of being refused.
        assert get(server, NATIVE)[0] == 200

    def test_stock_killed_comes_back_and_requests_wait_or_get_503(self, server: TrackingServer) -> None:
        family = eventually(lambda: [guard(server), *guard(server).children(recursive=True)])
        family[-1].kill()
        assert psutil.wait_procs(family, 60)[1] == []
        assert get(server, FORWARDED)[0] in (200, 503)
        assert eventually(lambda: get(server, FORWARDED)[0] == 200)

    def test_renewal_replaces_every_worker_without_a_refused_request(self, server: TrackingServer) -> None:
        before = {each.pid for each in workers(server)}
        os.kill(server.pid, signal.SIGHUP)
        deadline = time.monotonic() + 180
        while "all workers were renewed" not in server.logs():
            assert get(server, NATIVE)[0] == 200
            time.sleep(0.002)
            assert time.monotonic() < deadline
        assert not before & {each.pid for each in workers(server)}


def test_a_worker_killed_while_it_starts_is_replaced(tmp_path: Path, databases: Databases) -> None:
    server = make(tmp_path, databases.sqlite())
    killed: list[int] = []

    def kill_the_first() -> None:
        victim = eventually(lambda: workers(server)[0] if server.is_running else None)
        assert victim is not None
        victim.kill()
        killed.append(victim.pid)

    killer = threading.Thread(target=kill_the_first)
    killer.start()
    try:
        server.start()
        killer.join()
        assert get(server, NATIVE)[0] == 200
        assert len(eventually(lambda: workers(server) if len(workers(server)) == 2 else None) or []) == 2
        assert killed[0] not in {each.pid for each in workers(server)}
        assert "(signal 9); another one is started" in server.logs()
    finally:
        killer.join()
        server.stop()


def test_sigterm_lets_an_accepted_request_finish(tmp_path: Path, databases: Databases, start: Starter) -> None:
    server = start(make(tmp_path, databases.sqlite(), stock_start="eager"))
    family = [psutil.Process(pid) for pid in server.pids()]
    accepted = Unfinished(server)
    os.kill(server.pid, signal.SIGTERM)
    eventually(lambda: "stopping" in server.logs())
    assert eventually(lambda: refuses(server))
    response = accepted.finish()
    assert (response.status, response.getheader("connection")) == (200, "close")
    assert "experiment_id" in json.loads(response.read())
    assert exit_code(server) == 0
    assert psutil.wait_procs(family, 30)[1] == []


def test_a_request_that_does_not_finish_in_time_is_cut_off(
    tmp_path: Path, databases: Databases, start: Starter
) -> None:
    server = start(make(tmp_path, databases.sqlite(), grace=1))
    unfinished = Unfinished(server)
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 30
    unfinished.close()


def test_a_second_signal_ends_everything_at_once(tmp_path: Path, databases: Databases, start: Starter) -> None:
    server = start(make(tmp_path, databases.sqlite()))
    family = [psutil.Process(pid) for pid in server.pids()[1:]]
    unfinished = Unfinished(server)
    os.kill(server.pid, signal.SIGINT)
    eventually(lambda: "stopping" in server.logs())
    os.kill(server.pid, signal.SIGINT)
    assert psutil.wait_procs(family, 30)[1] == []
    assert exit_code(server) == 1
    unfinished.close()


@pytest.mark.parametrize("when", [pytest.param("starting", marks=pytest.mark.slow), "serving"])
def test_a_killed_supervisor_leaves_nobody_behind(
    tmp_path: Path, databases: Databases, start: Starter, when: str
) -> None:
    server = start(make(tmp_path, databases.sqlite(), stock_start="eager"))
    guard(server)
    if when == "serving":
        get(server, FORWARDED)
    family = [psutil.Process(pid) for pid in server.pids()]
    assert len(family) >= 4
    os.kill(server.pid, signal.SIGKILL)
    # Longer than the workers' grace of five seconds.
    assert psutil.wait_procs(family, 60)[1] == []


def test_a_taken_port_is_told(tmp_path: Path, databases: Databases) -> None:
    server = make(tmp_path, databases.sqlite())
    with socket.socket() as other:
        other.bind((LOCALHOST, server.port))
        other.listen()
        done = run(server)
    assert done.returncode == 4
    assert f"another process listens on {LOCALHOST}:{server.port}" in done.stderr


class TestSchema:
    """What the database must be before anything starts."""

    @staticmethod
    def set_revision(uri: str, revision: str) -> None:
        with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))

    def test_a_database_that_is_behind_is_refused_and_left_alone(self, tmp_path: Path, databases: Databases) -> None:
        uri = databases.sqlite()
        self.set_revision(uri, "451aebb31d03")
        before = Path(uri.removeprefix("sqlite:///")).read_bytes()
        done = run(make(tmp_path, uri))
        assert done.returncode == 3
        assert "tracking-server db upgrade" in done.stderr
        assert Path(uri.removeprefix("sqlite:///")).read_bytes() == before

    def test_an_empty_one_is_made_mlflows(self, tmp_path: Path, start: Starter) -> None:
        server = start(make(tmp_path, f"sqlite:///{tmp_path}/new/mlflow.db"))
        status, body = get(server, "/api/2.0/mlflow/experiments/get?experiment_id=0")
        assert (status, json.loads(body)["experiment"]["name"]) == (200, "Default")

    def test_an_unknown_one_is_served_and_said_so(self, tmp_path: Path, databases: Databases, start: Starter) -> None:
        uri = databases.sqlite()
        self.set_revision(uri, "0123456789ab")
        server = start(make(tmp_path, uri))
        assert server.logs().count("0123456789ab was not tested: every request is forwarded") == 1


def run(server: TrackingServer) -> subprocess.CompletedProcess[str]:
    """Runs a server that is not going to start."""
    command = [str(word) for word in server.command()]
    return subprocess.run(
        command, env=server.environment(), cwd=server.folder, capture_output=True, text=True, timeout=180, check=False
    )


def test_the_supervisor_stays_small() -> None:
    heavy = ("mlflow", "sqlalchemy", "aiohttp", "uvicorn", "obstore", "asyncpg")
    program = f"import sys, tracking_server.supervisor; print([name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[]\n"
