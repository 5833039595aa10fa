"""``db upgrade``: from every older release to ours, and that nothing ends half done."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable

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
@pytest.mark.parametrize(
    "release",
    [pytest.param(name, marks=[] if name == "2.9" else [pytest.mark.slow]) for name in RELEASES],
)
def test_an_older_release_becomes_what_stock_makes_of_it(
    release: str, dialect: Dialect, old_databases: OldDatabases, database_at: DatabaseAt
) -> None:
    database = database_at(old_databases.create(release, dialect))
    by_stock = old_databases.copy(database.uri)
    upgrade_with_stock(by_stock)

    code, status = database.status()
    assert (code, status["state"], status["has_data"]) == (ExitCode.SCHEMA_BEHIND, "behind", True)
    assert (status["current"], status["current_mlflow"]) == (RELEASES[release], NEWEST[release])
    answer = database.upgrade()

    assert (answer["from"], answer["to"], answer["differences"]) == (RELEASES[release], HEAD, [])
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
    undisturbed = database_at(old_databases.copy(original))
    began = time.monotonic()
    undisturbed.upgrade()
    duration = time.monotonic() - began
    expected = (rows_of(undisturbed.uri), schema_of(undisturbed.uri))
    before = (rows_of(original), schema_of(original))
    database = database_at(old_databases.copy(original))
    outcomes = set()
    for _ in range(kills):
        _start_and_kill(database, _RANDOM.uniform(0.1, 1.1) * duration)
        state = _wait_until_unlocked(database)
        outcomes.add(state)
        found = (rows_of(database.uri), schema_of(database.uri))
        assert found == (before if state == "behind" else expected)
        if state == "current":
            database = database_at(old_databases.copy(original))
    assert "behind" in outcomes

    database.upgrade()

    assert (rows_of(database.uri), schema_of(database.uri)) == expected


def _start_and_kill(database: Database, seconds: float) -> None:
    """Kills the command, or the process in which the migrations run, after a time."""
    process = subprocess.Popen(
        database.arguments("db", "upgrade"), env=database.environment(), stderr=subprocess.DEVNULL
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]
        _RANDOM.choice(family).kill()
        process.wait(30)
        psutil.wait_procs(family[1:], timeout=30)


def _wait_until_unlocked(database: Database) -> str:
    """The state, once nothing of the killed upgrade is left."""
    if database.uri.startswith("postgresql"):
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with engine_of(database.uri).connect() as connection:
                if connection.exec_driver_sql(query).scalar() == 0:
                    break
            time.sleep(0.05)
    state = database.status()[1]["state"]
    assert isinstance(state, str)
    return state
