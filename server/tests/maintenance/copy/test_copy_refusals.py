"""What a copy refuses, with what to do, and without having written anything."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from maintenance.copy.reading import differences, read_all
from maintenance.copy.running import copy_here, relocation_only
from support.databases import Databases
from tracking_server.exit_codes import ExitCode
from tracking_server.maintenance.copy.failures import CopyFailed, Refused


def _run(uri: str, *statements: str) -> None:
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


_RUN = "INSERT INTO runs (run_uuid, lifecycle_stage, name, artifact_uri) VALUES "


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        (f"{_RUN} ('r', 'active', 'a' || char(0) || 'b', NULL)", "runs (run_uuid='r'), name: a NUL character"),
        (f"{_RUN} ('r', 'active', '{'x' * 251}', NULL)", "name: 251 characters, where the target takes 250"),
        (f"{_RUN} ('r', 'active', x'ff', NULL)", "name: bytes where text belongs"),
        (
            f"{_RUN} ('r', 'active', NULL, '/old/{'x' * 190}')",
            "runs (run_uuid='r'), artifact_uri: 206 characters, where the target takes 200",
        ),
        (
            "INSERT INTO experiments (experiment_id, name) VALUES (3000000000, 'e')",
            "experiment_id: 3000000000 does not fit into 32 bits",
        ),
        (
            "INSERT INTO jobs (id, creation_time, job_name, params, status, retry_count, last_update_time, progress)"
            " VALUES ('j', 1, 'n', '{}', 0, 0, 0, '[NaN]')",
            "jobs (id='j'), progress: not JSON: NaN",
        ),
    ],
)
def test_a_value_that_the_target_cannot_hold_is_named(
    databases: Databases, tmp_path: Path, statement: str, problem: str
) -> None:
    source, target = databases.sqlite(), databases.postgresql()
    _run(source, statement)
    before = read_all(target)
    with pytest.raises(Refused, match="nothing was written") as refused:
        copy_here(source, target, artifacts=relocation_only("/old", "s3://bucket/new", tmp_path / "artifacts"))
    assert problem in refused.value.problems[0]
    assert differences(before, read_all(target)) == []


def test_text_that_is_not_utf_8_is_refused(databases: Databases) -> None:
    source = databases.sqlite()
    _run(source, f"{_RUN} ('r', 'active', CAST(x'ff' AS TEXT), NULL)")
    with pytest.raises(CopyFailed, match="runs: Could not decode to UTF-8"):
        copy_here(source, databases.postgresql())


def test_broken_foreign_keys_are_named(databases: Databases) -> None:
    source = databases.sqlite()
    _run(source, "INSERT INTO params (key, value, run_uuid) VALUES ('k', 'v', 'nobody')")
    with pytest.raises(Refused) as refused:
        copy_here(source, databases.postgresql())
    assert refused.value.problems == ("params: row 1 names a row of runs that does not exist",)


def test_a_source_behind_is_to_be_upgraded_first(databases: Databases) -> None:
    source = databases.sqlite()
    _run(source, "UPDATE alembic_version SET version_num = '451aebb31d03'")
    with pytest.raises(CopyFailed, match="run `tracking-server db upgrade` on it first") as refused:
        copy_here(source, databases.postgresql())
    assert refused.value.exit_code is ExitCode.SCHEMA_BEHIND


def test_a_target_with_data_is_left_alone(databases: Databases) -> None:
    source, target = databases.sqlite(), databases.postgresql()
    with psycopg.connect(target) as connection:
        connection.execute("INSERT INTO runs (run_uuid, lifecycle_stage) VALUES ('mine', 'active')")
    before = read_all(target)
    with pytest.raises(CopyFailed, match="holds data that is not the source's"):
        copy_here(source, target)
    with pytest.raises(CopyFailed, match="holds data that is not the source's"):
        copy_here(source, target, restart=True)
    assert differences(before, read_all(target)) == []


def test_a_target_that_is_not_mlflows_is_left_alone(databases: Databases) -> None:
    target = databases.postgresql()
    with psycopg.connect(target) as connection:
        connection.execute("DROP TABLE alembic_version")
    with pytest.raises(CopyFailed, match="holds tables that are not MLflow's") as refused:
        copy_here(databases.sqlite(), target)
    assert refused.value.exit_code is ExitCode.NOT_MLFLOW


def test_a_source_that_somebody_writes_to_is_refused(databases: Databases) -> None:
    source, target = databases.sqlite(), databases.postgresql()
    with closing(sqlite3.connect(source.removeprefix("sqlite:///"), isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(CopyFailed, match="in use") as refused:
            copy_here(source, target)
        assert refused.value.exit_code is ExitCode.LOCKED
        writer.execute("ROLLBACK")
    copy_here(source, target)
    with psycopg.connect(target) as writing:
        writing.execute("INSERT INTO runs (run_uuid, lifecycle_stage) VALUES ('mine', 'active')")
        with pytest.raises(CopyFailed, match="in use"):
            copy_here(target, databases.sqlite())
