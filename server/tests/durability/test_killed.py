"""Processes killed and stopped under load: what was acknowledged is stored, exactly."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from durability.conftest import make_server
from durability.load import check_latest_metrics, check_stored, load
from durability.running import FORWARDED, call, eventually, get, guard, rows, workers
from support.databases import Databases
from support.fixtures import Starter
from support.ours import TrackingServer
from support.postgres import PostgresServer


def both_workers(server: TrackingServer) -> list[psutil.Process]:
    return eventually(lambda: found if len(found := workers(server)) == 2 else [])


def test_workers_killed_under_load(tmp_path: Path, database: str, start: Starter) -> None:
    server = start(make_server(tmp_path, database))
    with load(server) as running:
        for _ in range(2):
            running.go_on()
            # The older one each time, so that every client's first worker dies.
            victim = min(both_workers(server), key=psutil.Process.create_time)
            victim.kill()
            victim.wait(10)
        running.go_on()
        both_workers(server)
        running.go_on(100)
        journal = running.stop()
    check_stored(database, journal)
    assert journal.refusals == []
    # What a killed worker had in hand, and nothing else, was left without an answer.
    assert 0 < len(journal.unknown) < 100


@pytest.mark.slow
def test_stock_killed_under_load_is_not_noticed_by_native_requests(
    tmp_path: Path, sqlite_database: str, start: Starter
) -> None:
    server = start(make_server(tmp_path, sqlite_database, stock=True))
    eventually(lambda: get(server, FORWARDED)[0] == 200)
    with load(server) as running:
        running.go_on(100)
        family = [guard(server), *guard(server).children(recursive=True)]
        family[-1].kill()
        assert psutil.wait_procs(family, 30)[1] == []
        running.go_on(100)
        assert eventually(lambda: get(server, FORWARDED)[0] == 200)
        journal = running.stop()
    check_stored(sqlite_database, journal)
    assert (journal.refusals, journal.unknown) == ([], [])


def test_postgresql_killed_under_load(
    tmp_path: Path, own_postgres: PostgresServer, own_databases: Databases, start: Starter
) -> None:
    uri = own_databases.postgresql()
    server = start(make_server(tmp_path, uri, wait_seconds=60))
    before = [each.pid for each in both_workers(server)]
    with load(server) as running:
        for _ in range(2):
            running.go_on()
            own_postgres.kill()
            own_postgres.start()
        running.go_on()
        journal = running.stop()
    check_stored(uri, journal)
    # Everybody waited, but for those whose commit was under way: nobody can know what became of that.
    assert len(journal.refusals) <= 2 * 4
    assert [each.pid for each in both_workers(server)] == before


def test_stopped_under_load(tmp_path: Path, database: str, start: Starter) -> None:
    server = start(make_server(tmp_path, database))
    with load(server, writers=8) as running:
        running.go_on()
        code = server.stop()
        journal = running.stop()
    assert code == 0
    # What was accepted was answered: nothing is stored of what got no answer.
    check_stored(database, journal, unknown_may_be_stored=False)
    assert journal.refusals == []


def test_32_writers_of_one_run(tmp_path: Path, own_databases: Databases, own_postgres: PostgresServer) -> None:
    uri = own_databases.postgresql()
    own_postgres.execute("ALTER DATABASE {} SET deadlock_timeout = '100ms'", uri.rpartition("/")[2])
    with make_server(tmp_path, uri, wait_seconds=60) as server:
        write_one_run(server, uri)
    assert "deadlock detected" not in own_postgres.logs()


def test_32_writers_of_one_run_on_sqlite(tmp_path: Path, sqlite_database: str) -> None:
    with make_server(tmp_path, sqlite_database, wait_seconds=60) as server:
        write_one_run(server, sqlite_database)


def write_one_run(server: TrackingServer, uri: str) -> None:
    """32 clients log the same keys in different orders; parameters agree, tags and metrics differ."""
    experiment = call(server, "experiments/create", {"name": "one"})["experiment_id"]
    run = call(server, "runs/create", {"experiment_id": experiment})["run"]["info"]["run_id"]
    metrics: set[tuple[str, float, int]] = set()
    errors: list[Exception | AssertionError] = []

    def log(batches: Sequence[object]) -> None:
        try:
            for batch in batches:
                call(server, "runs/log-batch", batch)
        except (AssertionError, OSError) as error:
            errors.append(error)

    threads = []
    for writer in range(32):
        chance = random.Random(writer)
        batches = []
        for step in range(5):
            keys = [f"k{number}" for number in range(20)]
            chance.shuffle(keys)
            points = [{"key": key, "value": chance.random(), "timestamp": writer, "step": step} for key in keys]
            metrics.update((point["key"], point["value"], point["step"]) for point in points)  # type: ignore[misc]  # as just made
            pairs = [{"key": key, "value": f"of {key}"} for key in chance.sample(keys, 10)]
            tags = [{"key": key, "value": f"{writer}"} for key in chance.sample(keys, 10)]
            tags += [{"key": "mlflow.runName", "value": f"by {writer}"}] if step == 2 else []
            batches.append({"run_id": run, "metrics": points, "params": pairs, "tags": tags})
        threads.append(threading.Thread(target=log, args=(batches,)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(180)
    assert errors == []
    assert set(rows(uri, "SELECT key, value, step FROM metrics")) == metrics
    assert sorted(rows(uri, "SELECT key, value FROM params")) == sorted((f"k{n}", f"of k{n}") for n in range(20))
    assert rows(uri, "SELECT count(*) FROM tags")[0][0] == 21
    name, tag = rows(uri, "SELECT name, value FROM runs JOIN tags USING (run_uuid) WHERE key = 'mlflow.runName'")[0]
    assert name == tag
    check_latest_metrics(uri)


def test_a_worker_told_to_end_answers_what_it_has_accepted(
    tmp_path: Path, sqlite_database: str, start: Starter
) -> None:
    """By an operator's mistake, say."""
    server = start(make_server(tmp_path, sqlite_database))
    with load(server) as running:
        running.go_on(100)
        before = both_workers(server)
        before[0].terminate()
        before[0].wait(60)
        assert before[0].pid not in {each.pid for each in both_workers(server)}
        running.go_on(100)
        journal = running.stop()
    check_stored(sqlite_database, journal, unknown_may_be_stored=False)
    lines = [json.loads(line) for line in server.logs().splitlines()]
    assert any("another one is started" in line["message"] for line in lines)
