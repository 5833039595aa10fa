"""PostgreSQL away, at the start or later: what is answered meanwhile, and that service comes back by itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from durability.conftest import make_server
from durability.load import check_stored, load
from durability.running import API, FORWARDED, eventually, get, ready, request, workers
from support.databases import Databases
from support.fixtures import Starter
from support.ours import TrackingServer
from support.postgres import PostgresServer

SEARCH = (API + "experiments/search", {"max_results": 5})
WAIT = 1.0


def answers_503(server: TrackingServer, path: str, body: object = None) -> float:
    """Asserts that a request is told to come back later; returns how long it waited for that."""
    began = time.monotonic()
    response, answer = request(server, path, body)
    assert response.status == 503, answer
    assert int(response.headers["retry-after"]) > 0
    assert response.headers["x-request-id"]
    assert json.loads(answer)["error_code"] == "TEMPORARILY_UNAVAILABLE"
    return time.monotonic() - began


@pytest.mark.parametrize("seconds", [8, pytest.param(30, marks=pytest.mark.slow)])
def test_away_and_back(
    tmp_path: Path, own_postgres: PostgresServer, own_databases: Databases, start: Starter, seconds: int
) -> None:
    uri = own_databases.postgresql()
    server = start(make_server(tmp_path, uri, wait_seconds=WAIT, stock=True))
    eventually(lambda: get(server, FORWARDED)[0] == 200)
    pids = server.pids()
    assert ready(server)[0] == 200
    with load(server) as running:
        running.go_on()
        own_postgres.stop()
        deadline = time.monotonic() + seconds
        try:
            while time.monotonic() < deadline:
                assert get(server, "/health") == (200, b"OK")
                assert get(server, "/version") == (200, b"3.17.2")
                status, state = ready(server)
                assert (status, state["ready"], state["database"]["state"]) == (503, False, "unavailable")
                assert answers_503(server, *SEARCH) < WAIT + 5
                assert answers_503(server, FORWARDED) < WAIT + 15
                assert get(server, "/")[0] == 200
        finally:
            own_postgres.start()
        running.go_on()
        journal = running.stop()
    check_stored(uri, journal)
    assert len(journal.refusals) >= 4
    assert all(refusal.retry_after and int(refusal.retry_after) > 0 for refusal in journal.refusals)
    assert sorted(refusal.seconds for refusal in journal.refusals)[len(journal.refusals) // 2] < WAIT + 3
    assert eventually(lambda: ready(server)[0] == 200)
    assert eventually(lambda: get(server, FORWARDED)[0] == 200)
    assert server.pids() == pids
    lines = [json.loads(line) for line in server.logs().splitlines()]
    assert not any("exception" in line for line in lines if line.get("source") != "stock")
    assert not any(own_postgres.password in str(line) for line in lines)


def empty(databases: Databases, postgres: PostgresServer) -> str:
    return postgres.create_database("appears_empty")


def made(databases: Databases, postgres: PostgresServer) -> str:
    return databases.postgresql()


@pytest.mark.parametrize("prepare", [pytest.param(made, marks=pytest.mark.slow), empty], ids=["made", "empty"])
def test_away_at_the_start(
    tmp_path: Path,
    own_postgres: PostgresServer,
    own_databases: Databases,
    start: Starter,
    prepare: Callable[[Databases, PostgresServer], str],
) -> None:
    uri = prepare(own_databases, own_postgres)
    own_postgres.stop()
    try:
        server = start(make_server(tmp_path, uri, wait_seconds=WAIT, stock=True))
        pids = {each.pid for each in workers(server)}
        status, state = ready(server)
        assert (status, state["database"]["state"], state["stock"]["state"]) == (503, "unavailable", "starting")
        assert answers_503(server, *SEARCH) < WAIT + 5
        assert answers_503(server, FORWARDED) < WAIT + 5
        assert get(server, "/")[0] == 200
    finally:
        own_postgres.start()
    assert eventually(lambda: request(server, *SEARCH)[0].status == 200)
    assert eventually(lambda: ready(server)[1]["stock"]["state"] == "ready")
    assert get(server, FORWARDED)[0] == 200
    assert ready(server)[0] == 200
    assert pids <= {each.pid for each in workers(server)}


def test_one_that_appears_with_an_old_schema_ends_the_server(
    tmp_path: Path, own_postgres: PostgresServer, own_databases: Databases
) -> None:
    uri = own_databases.postgresql()
    with psycopg.connect(uri) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    own_postgres.stop()
    try:
        server = make_server(tmp_path, uri, wait_seconds=WAIT).start()
    finally:
        own_postgres.start()
    try:
        eventually(lambda: not server.is_running)
    finally:
        code = server.stop()
    assert code == 3
    assert "tracking-server db upgrade" in server.logs()
    assert own_postgres.password not in server.logs()


def test_a_worker_killed_while_the_database_is_away_is_replaced_and_answers(
    tmp_path: Path, own_postgres: PostgresServer, own_databases: Databases, start: Starter
) -> None:
    uri = own_databases.postgresql()
    server = start(make_server(tmp_path, uri, wait_seconds=WAIT))
    eventually(lambda: len(workers(server)) == 2)
    own_postgres.stop()
    try:
        for worker in workers(server):
            worker.kill()
            worker.wait(10)
        assert get(server, "/health")[0] == 200
        assert answers_503(server, *SEARCH) < WAIT + 5
    finally:
        own_postgres.start()
    assert eventually(lambda: request(server, *SEARCH)[0].status == 200)
