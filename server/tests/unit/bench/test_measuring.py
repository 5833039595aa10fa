"""The benchmark measures what it says: rows, requests and processor time are there, and no server refuses a request."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import psycopg
import pytest
from bench import driver, seed, usage
from bench.contestants import Database, ServerSide
from bench.lua import FIRST_NUMBER, NUMBER, RUN, Requests, RunIds, lua_text
from bench.measure import compare_answers
from bench.results import OURS, Results
from bench.scenarios import scenarios

from support.databases import Databases
from support.fixtures import Starter
from support.ours import TrackingServer
from support.postgres import PostgresServer
from support.processes import ServerProcess, plain_environment
from support.requirements import REPOSITORY

SIZES = seed.Sizes(
    **{"runs": 40, "rows": 5000, "long_steps": 100, "history": 50, "curves": 10, "curve_points": 20},
    **{"training": 2, "fresh": 2, "soak": 8, "experiments": 10, "models": 120, "versions": 2},
)


@pytest.fixture(scope="module")
def database(databases: Databases, postgres_server: PostgresServer) -> Iterator[str]:
    """A seeded database."""
    uri = databases.postgresql()
    seed.fill(postgres_server.uri(uri.rpartition("/")[2], "postgres"), SIZES)
    yield uri
    databases.drop(uri)


def values(uri: str, statement: str) -> tuple[object, ...]:
    with psycopg.connect(uri) as connection:
        row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return tuple(row)


def test_the_seed_holds_what_it_promises_and_latest_metrics_are_the_last(database: str) -> None:
    assert SIZES.points == 2
    runs = SIZES.runs
    assert values(
        database,
        """SELECT (SELECT count(*) FROM runs WHERE experiment_id = 1),
                  (SELECT count(*) FROM latest_metrics JOIN runs USING (run_uuid) WHERE experiment_id = 1),
                  (SELECT count(*) FROM params JOIN runs USING (run_uuid) WHERE experiment_id = 1),
                  (SELECT count(*) FROM tags JOIN runs USING (run_uuid) WHERE experiment_id = 1)""",
    ) == (runs, runs * seed.METRICS, runs * seed.PARAMS, runs * seed.TAGS)
    wrong = """
        SELECT count(*) FROM latest_metrics l
          FULL JOIN (SELECT DISTINCT ON (run_uuid, key) * FROM metrics ORDER BY run_uuid, key, step DESC) m
         USING (run_uuid, key, step, timestamp, value) WHERE l.key IS NULL OR m.key IS NULL"""
    assert values(database, wrong) == (0,)
    # What was taken away to fill the table is there again.
    indexes = "SELECT count(*) FROM pg_indexes WHERE tablename = 'metrics'"
    assert values(database, indexes) == (3,)


@pytest.mark.parametrize("together", [1, 2])
@pytest.mark.parametrize(("table", "rows"), [("metrics", 7), ("params", 5)])
def test_the_driver_alone_stores_every_row(database: str, table: str, rows: int, together: int) -> None:
    new = {"metrics": "FROM metrics WHERE step > 100000000", "params": "FROM params WHERE key LIKE 'batch%'"}[table]
    with psycopg.connect(database) as connection:
        connection.execute(f"DELETE {new}".encode())
    runs = seed.run_ids(database, seed.RunId.TRAINING, 2)
    task = {
        **{"uri": database, "table": table, "rows": rows, "connections": 2, "together": together},
        **{"seconds": 0.1, "number": FIRST_NUMBER, "runs": runs},
    }
    done = subprocess.run(
        [sys.executable, "-m", "bench.driver"],
        cwd=REPOSITORY,
        input=json.dumps(task).encode(),
        capture_output=True,
        check=True,
    )
    outcome = msgspec.json.decode(done.stdout, type=driver.Outcome)
    assert outcome.requests > 0
    assert values(database, f"SELECT count(*) {new}") == (outcome.requests * rows,)


def test_no_request_of_any_scenario_is_refused(
    database: str, postgres_server: PostgresServer, start: Starter, tmp_path: Path
) -> None:
    kinds = {
        name: getattr(seed.RunId, name)
        for name in ("SEARCHED", "TRAINING", "FRESH", "SOAK", "CURVE", "HISTORY", "LONG")
    }
    counts = {"SEARCHED": 40, "CURVE": 10}
    runs = {}
    for name, expression in kinds.items():
        file = tmp_path / f"{name}.txt"
        file.write_text("\n".join(seed.run_ids(database, expression, counts.get(name, 1))))
        runs[name] = RunIds(file, counts.get(name, 1))
    settings = {"stock": {"enabled": False}}
    server = TrackingServer(
        tmp_path / "ours", database_uri=database, artifacts_destination=str(tmp_path / "artifacts"), settings=settings
    )
    start(server)
    side = ServerSide(OURS, server, Database(database))
    results = Results(machine={}, options={})
    for scenario in scenarios(runs):
        compare_answers([side], scenario, results)
    assert results.failures == []


class _Parent(ServerProcess):
    """A process that has waited for a child which used half a second of processor time."""

    name = "parent"
    _CHILD = "import time\nwhile time.process_time() < 0.5: pass"
    _PROGRAM = "import pathlib, subprocess, sys, time; subprocess.run([sys.executable, '-c', sys.argv[1]]); "

    def command(self) -> Sequence[str | Path]:
        program = self._PROGRAM + "pathlib.Path('ready').touch(); time.sleep(60)"
        return [sys.executable, "-S", "-c", program, self._CHILD]

    def environment(self) -> dict[str, str]:
        return plain_environment()

    def is_ready(self) -> bool:
        return (self.folder / "ready").exists()


def test_processor_time_of_processes_that_have_ended_counts(tmp_path: Path) -> None:
    with _Parent(tmp_path) as parent:
        assert len(parent.pids()) == 1
        assert 0.5 <= usage.cpu_seconds(parent) < 2
        assert usage.memory_mib(parent) > 1


def test_markers_of_requests_are_as_long_as_what_replaces_them(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a" * 32 + "\n" + "b" * 32 + "\n")
    body = json.dumps({"run_id": RUN, "step": 0}).replace("0}", f"{NUMBER}}}")
    requests = Requests("POST", f"/x?run={RUN}", (body,), RunIds(tmp_path / "runs", 2))
    method, path, headers, sent = requests.sample()
    assert (method, path) == ("POST", f"/x?run={'a' * 32}")
    assert headers["Content-Type"] == "application/json"
    assert json.loads(sent) == {"run_id": "a" * 32, "step": FIRST_NUMBER}
    assert len(sent) == len(body)


def test_each_client_has_runs_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "runs"
    file.write_text("".join(f"{number}\n" for number in range(10)))
    assert RunIds(file, 10, per_client=2).read(3) == list("012345")
    assert RunIds(file, 10, per_client=2).used_by(64) == 10
    assert RunIds(file, 4).read(1) == list("0123")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain", "[[plain]]"),
        ("two]] brackets", "[=[two]] brackets]=]"),
        ("at the end]", "[=[at the end]]=]"),
        ("]=] and ]]", "[==[]=] and ]]]==]"),
        # Lua leaves out a line break that comes first.
        ("\nbreak", "[[\n\nbreak]]"),
    ],
)
def test_lua_text_ends_where_the_text_does(text: str, written: str) -> None:
    assert lua_text(text) == written
