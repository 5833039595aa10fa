"""``db upgrade``: from an older schema to ours, and that nothing ends half done."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

import mlflow
import psutil
import pytest

from support.databases import Dialect
from support.fixtures import DIALECTS
from tracking_server.exit_codes import ExitCode

from .conftest import Database
from .old_schemas import NEWEST, POINTS, RELEASES, RUNS, OldDatabases, engine_of, rows_of, schema_of, upgrade_with_stock

HEAD = "dc11669786a5"
_RANDOM = random.SystemRandom()
DatabaseAt = Callable[[str], Database]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_older_schema_becomes_what_stock_makes_of_it(
    dialect: Dialect, old_databases: OldDatabases, database_at: DatabaseAt
) -> None:
    database = database_at(old_databases.create("2.9", dialect))
    by_stock = old_databases.copy(database.uri)
    upgrade_with_stock(by_stock)

    code, status = database.status()
    assert (code, status["state"], status["has_data"]) == (ExitCode.SCHEMA_BEHIND, "behind", True)
    assert (status["current"], status["current_mlflow"]) == (RELEASES["2.9"], NEWEST["2.9"])
    answer = database.upgrade()

    assert (answer["from"], answer["to"], answer["differences"]) == (RELEASES["2.9"], HEAD, [])
    assert answer["revisions"] == len(status["pending"])
    assert database.status()[0] == ExitCode.OK
    assert rows_of(database.uri) == rows_of(by_stock)
    assert schema_of(database.uri) == schema_of(by_stock)
    assert database.upgrade()["revisions"] == 0

    client = mlflow.MlflowClient(database.uri)
    runs = client.search_runs(["1"], order_by=["attributes.start_time ASC"])
    assert len(runs) == RUNS * 4 // 5
    assert runs[0].data.params == {"p": "v" * 400}
    assert len(client.get_metric_history(runs[0].info.run_id, "loss")) == POINTS
    assert len(client.search_model_versions("name = 'model'")) == RUNS


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_empty_database_gets_the_tables_that_stock_makes(
    dialect: Dialect, old_databases: OldDatabases, database_at: DatabaseAt, databases: object
) -> None:
    database = database_at(old_databases.empty(dialect))
    assert database.status()[0] == ExitCode.DATABASE_EMPTY

    answer = database.upgrade()

    assert (answer["from"], answer["to"], answer["differences"]) == (None, HEAD, [])
    code, status = database.status()
    assert (code, status["has_data"]) == (ExitCode.OK, False)
    assert {each["state"] for each in json.loads(database.run("indexes", "status", "--json").stdout)} == {"present"}
    reference = old_databases.create("2.22", dialect)
    upgrade_with_stock(reference)
    assert schema_of(database.uri).keys() == schema_of(reference).keys()


def test_without_a_terminal_there_are_lines(old_databases: OldDatabases, database_at: DatabaseAt) -> None:
    database = database_at(old_databases.create("3.9", "sqlite"))
    pending = database.status()[1]["pending"]

    lines = database.run("upgrade").stderr.splitlines()

    assert lines[0] == f"1 of {len(pending)}: {pending[0]['revision']} {pending[0]['description']}"
    assert lines[-2:-1] == ["committing"]
    assert lines[-1].startswith(f"upgraded from {RELEASES['3.9']} to {HEAD} in ")


def test_a_failing_migration_changes_nothing(old_databases: OldDatabases, database_at: DatabaseAt) -> None:
    database = database_at(old_databases.create("2.22", "postgresql"))
    with engine_of(database.uri).begin() as connection:
        # A table of that name, in the way of a late revision.
        connection.exec_driver_sql("CREATE TABLE scheduler_leases (mine text)")
    before = (rows_of(database.uri), schema_of(database.uri))

    done = database.run("upgrade")

    assert done.returncode == ExitCode.FAILURE
    assert "scheduler_leases" in done.stderr
    assert (rows_of(database.uri), schema_of(database.uri)) == before


@pytest.mark.parametrize(
    ("kills", "dialect"),
    [
        (3, "postgresql"),
        pytest.param(100, "postgresql", marks=pytest.mark.slow),
        pytest.param(100, "sqlite", marks=pytest.mark.slow),
    ],
)
def test_killed_at_any_point_it_changes_nothing_and_can_be_run_again(
    kills: int, dialect: Dialect, old_databases: OldDatabases, database_at: DatabaseAt
) -> None:
    original = old_databases.create("2.22", dialect)
    before = (rows_of(original), schema_of(original))
    undisturbed = database_at(old_databases.copy(original))
    began = time.monotonic()
    undisturbed.upgrade()
    seconds = time.monotonic() - began
    expected = (rows_of(undisturbed.uri), schema_of(undisturbed.uri))
    database = database_at(old_databases.copy(original))
    hits = upgraded = 0
    while hits < kills:
        hits += _start_and_kill(database, _RANDOM.uniform(0.1, 1.0) * seconds)
        _wait_until_alone(database)
        found = (rows_of(database.uri), schema_of(database.uri))
        if found != before:
            assert found == expected
            upgraded += 1
            database = database_at(old_databases.copy(original))
    print(f"{hits} kills met a running upgrade, and {upgraded} upgrades had ended")
    assert upgraded < hits

    database.upgrade()

    assert (rows_of(database.uri), schema_of(database.uri)) == expected


def _start_and_kill(database: Database, seconds: float) -> bool:
    """Kills the command, or the process in which the migrations run, after a time; whether it was still there."""
    process = subprocess.Popen(
        database.arguments("db", "upgrade"), env=database.environment(), stderr=subprocess.DEVNULL
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]
        met = _RANDOM.choice(family)
        # psutil tells by its start whether the process is still the one that it looked at.
        is_running = met.is_running() and met.status() != psutil.STATUS_ZOMBIE
        with suppress(psutil.NoSuchProcess):
            met.kill()
        process.wait(30)
        psutil.wait_procs(family[1:], timeout=30)
        return is_running
    return False


def _wait_until_alone(database: Database) -> None:
    """Returns when nothing of the killed upgrade is left."""
    if database.uri.startswith("sqlite"):
        return
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    deadline = time.monotonic() + 30
    with engine_of(database.uri).connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while connection.exec_driver_sql(query).scalar():
            assert time.monotonic() < deadline
            time.sleep(0.02)
