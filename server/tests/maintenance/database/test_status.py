"""``db status``, ``db plan`` and the catalogue of revisions."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.databases import Dialect
from support.fixtures import DIALECTS
from support.processes import free_port
from tracking_server.exit_codes import ExitCode
from tracking_server.maintenance.database import record
from tracking_server.maintenance.database.catalogue import Revision, catalogue
from tracking_server.maintenance.database.work import work_of
from tracking_server.store import database as store
from tracking_server.store import schema

from .conftest import Database
from .old_schemas import NEWEST, RELEASES, RUNS, OldDatabases, engine_of, schema_of

DatabaseAt = Callable[[str], Database]


def _words(statements: list[str]) -> list[list[str]]:
    # MLflow's and Alembic's sets decide the order of indexes, and of checks within a table.
    return sorted(sorted(re.split(r"[\s,()]+", statement)) for statement in statements)


def test_the_catalogue_is_what_mlflows_migrations_do(old_databases: OldDatabases) -> None:
    """Where this fails, MLflow's version changed: run record.py to write the file anew."""
    recorded, packaged = record.record([old_databases.empty(dialect) for dialect in DIALECTS]), catalogue()

    assert recorded.known_differences == packaged.known_differences
    for found, expected in zip(recorded.revisions, packaged.revisions, strict=True):
        assert (found.revision, found.description, found.since) == (
            expected.revision,
            expected.description,
            expected.since,
        )
        assert found.reads == expected.reads
        assert _words(found.postgresql) == _words(expected.postgresql)
        assert _words(found.sqlite) == _words(expected.sqlite)


def test_the_catalogue_is_the_installed_mlflows_history() -> None:
    revisions = [each.revision for each in catalogue().revisions]

    assert schema.installed_revisions() == dict(zip(revisions, [None, *revisions], strict=False))


@pytest.mark.parametrize(
    ("revision", "release"),
    [*((RELEASES[release], newest) for release, newest in NEWEST.items()), ("97727af70f4d", "2.2"), ("unknown", None)],
)
def test_releases(revision: str, release: str | None) -> None:
    assert catalogue().release_of(revision) == release


@pytest.mark.parametrize("dialect", DIALECTS)
def test_states(dialect: Dialect, old_databases: OldDatabases, database_at: DatabaseAt) -> None:
    database = database_at(old_databases.empty(dialect))
    code, status = database.status()
    assert (code, status["state"], status["current"], status["has_data"]) == (13, "empty", None, False)

    with engine_of(database.uri).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE customers (name text)")
    code, status = database.status()
    assert (code, status["state"], status["has_data"]) == (12, "not-mlflow", None)
    assert database.run("upgrade").returncode == ExitCode.NOT_MLFLOW

    database = database_at(old_databases.create("3.9", dialect))
    with engine_of(database.uri).begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    code, status = database.status()
    assert (code, status["state"], status["current"], status["current_mlflow"]) == (11, "ahead", "ffffffffffff", None)
    assert (status["pending"], status["has_data"]) == ([], True)
    assert database.run("upgrade").returncode == ExitCode.SCHEMA_AHEAD
    assert database.run("plan").returncode == ExitCode.SCHEMA_AHEAD


def test_a_database_that_is_away_is_unreachable(database_at: DatabaseAt) -> None:
    database = database_at(f"postgresql://u:hush@127.0.0.1:{free_port()}/x")
    for command in ("status", "plan", "upgrade", "indexes status"):
        done = database.run(*command.split())
        assert done.returncode == ExitCode.UNREACHABLE, command
        assert "hush" not in done.stderr


def test_looking_at_no_file_makes_none(database_at: DatabaseAt, tmp_path: Path) -> None:
    database = database_at(f"sqlite:///{tmp_path}/none.db")
    for command in ("status", "plan", "indexes status"):
        database.run(*command.split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dialect", DIALECTS)
def test_pending_revisions_tell_what_they_do(
    dialect: Dialect, old_databases: OldDatabases, database_at: DatabaseAt
) -> None:
    database = database_at(old_databases.create("2.22", dialect))
    with engine_of(database.uri).connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")

    pending = {each["revision"]: each for each in database.status()[1]["pending"]}

    index = pending["a5b4c3d2e1f0"]
    assert [(step["kind"], step["table"]) for step in index["steps"]] == [("index", "metrics")]
    assert index["rows"] == RUNS * 50
    assert (index["mlflow"], index["blocks_writes"]) == ("3.12", False)
    analytics = pending["75868b020152"]
    assert ("update", "trace_info", RUNS) in [(s["kind"], s["table"], s["rows"]) for s in analytics["steps"]]
    kinds = {step["kind"] for step in pending["1b5f0d9ad7c1"]["steps"]}
    assert ("rewrite" in kinds) is (dialect == "sqlite")
    table = database.run("status").stdout
    assert all(revision in table for revision in pending)


def test_large_tables_make_writers_wait() -> None:
    revision = Revision(
        "r", "d", "3.0", [], ["CREATE INDEX i ON runs (a)", "ALTER TABLE runs ALTER COLUMN a TYPE BIGINT"], []
    )
    small = work_of(revision, store.Dialect.POSTGRESQL, {"runs": (100, 8192)})
    large = work_of(revision, store.Dialect.POSTGRESQL, {"runs": (100_000_000, 2**36)})
    assert (small.blocks_writes, small.seconds, small.bytes) == (False, 0.0, 8192)
    assert large.blocks_writes
    assert large.seconds > 60
    assert not large.online


@pytest.mark.parametrize("dialect", ["postgresql", pytest.param("sqlite", marks=pytest.mark.slow)])
def test_the_planned_sql_run_by_hand_makes_the_same_schema(
    dialect: Dialect, old_databases: OldDatabases, database_at: DatabaseAt
) -> None:
    database = database_at(old_databases.create("3.9", dialect))
    by_hand = old_databases.copy(database.uri)
    plan = database.run("plan")
    assert plan.returncode == ExitCode.SCHEMA_BEHIND
    assert plan.stdout.startswith(f"-- From {RELEASES['3.9']} to dc11669786a5 ({dialect})")
    database.upgrade()

    script = plan.stdout.replace("<now>", "0")
    engine = engine_of(by_hand)
    connection = engine.raw_connection()
    try:
        if dialect == "sqlite":
            connection.cursor().executescript(script)
        else:
            connection.cursor().execute(script)
            connection.commit()
    finally:
        connection.close()

    assert schema_of(by_hand) == schema_of(database.uri)


def test_looking_loads_no_mlflow() -> None:
    program = (
        "import sys\n"
        "import tracking_server.cli.db_status, tracking_server.cli.db_plan, tracking_server.cli.db_upgrade\n"
        "import tracking_server.cli.version, tracking_server.supervisor, tracking_server.maintenance.database.indexes\n"
        "tracking_server.store.schema.installed_revisions()\n"
        "sys.exit(bool({'mlflow', 'sqlalchemy', 'alembic'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
