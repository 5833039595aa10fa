"""When stock MLflow must run background jobs from its start on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from mlflow.entities._job_status import JobStatus

from tracking_server.config import Config, DatabaseSettings, StockSettings
from tracking_server.job_need import UNFINISHED, need_of_jobs
from tracking_server.settings import SecretMap
from tracking_server.settings_database import DatabaseUri


def on(uri: str, *arguments: str, **environment: str) -> Config:
    stock = StockSettings(arguments=arguments, environment=SecretMap(environment))
    return Config(database=DatabaseSettings(uri=DatabaseUri.parse(uri), wait_seconds=1), stock=stock)


def change(uri: str, *statements: str) -> None:
    """Runs statements past the server."""
    if uri.startswith("sqlite:///"):
        with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as database, database:
            for statement in statements:
                database.execute(statement)
    else:
        with psycopg.connect(uri) as connection:
            for statement in statements:
                connection.execute(statement.encode())


FINISHED = (
    "INSERT INTO jobs (id, creation_time, job_name, params, status, retry_count, last_update_time) VALUES"
    " ('j2', 1, 'a', '{}', 2, 0, 1), ('j3', 1, 'a', '{}', 3, 0, 1), ('j4', 1, 'a', '{}', 4, 0, 1)"
)
ONLINE = (
    "INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (7, 'e', 'active')",
    "INSERT INTO scorers (experiment_id, scorer_name, scorer_id) VALUES (7, 's', 's1')",
    "INSERT INTO online_scoring_configs (online_scoring_config_id, scorer_id, sample_rate, experiment_id)"
    " VALUES ('c1', 's1', 0, 7)",
)


def test_the_states_of_a_job_are_mlflows() -> None:
    unfinished = {state.name: state.to_int() for state in JobStatus if not JobStatus.is_finalized(state)}
    assert unfinished == UNFINISHED


async def test_what_a_database_holds_decides(database: str) -> None:
    config = on(database)
    change(database, FINISHED, *ONLINE)
    assert await need_of_jobs(config) is None

    change(database, "UPDATE online_scoring_configs SET sample_rate = 0.01")
    assert await need_of_jobs(config) == "a scorer evaluates new traces automatically"
    # Another unit's scheduler does it.
    assert await need_of_jobs(on(database, MLFLOW_SERVER_JOB_ENABLE_PERIODIC_TASKS="false")) is None

    change(database, "DELETE FROM online_scoring_configs", "UPDATE jobs SET status = 6 WHERE id = 'j4'")
    assert await need_of_jobs(config) == "the database holds a job that is not finished"


async def test_an_old_schema_without_the_tables_needs_none(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/old.db"
    change(uri, "CREATE TABLE experiments (experiment_id integer)")
    assert await need_of_jobs(on(uri)) is None


async def test_a_database_that_does_not_tell_gets_its_jobs_run(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/changed.db"
    change(uri, "CREATE TABLE jobs (id text)")
    assert str(await need_of_jobs(on(uri))).startswith("the database did not tell")
    assert "mysql" in str(await need_of_jobs(on("mysql+pymysql://u@h/db")))


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (("--trace-archival-config", "a.yaml"), {}),
        (("--trace-archival-config=a.yaml",), {}),
        ((), {"MLFLOW_TRACE_ARCHIVAL_CONFIG": "a.yaml"}),
        ((), {"MLFLOW_SQL_TRACE_ROLLUPS_ENABLED": "True"}),
    ],
)
async def test_options_that_its_scheduler_serves_decide(
    sqlite_database: str, arguments: tuple[str, ...], environment: dict[str, str]
) -> None:
    assert await need_of_jobs(on(sqlite_database, *arguments, **environment)) is not None
    plain = on(sqlite_database, MLFLOW_SQL_TRACE_ROLLUPS_ENABLED="false")
    assert await need_of_jobs(plain) is None
    assert await need_of_jobs(replace(plain, stock=StockSettings())) is None
