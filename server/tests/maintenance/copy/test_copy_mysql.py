"""MySQL → PostgreSQL, from a real MariaDB."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from mlflow.entities import Metric, Param, RunTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from maintenance.copy.reading import differences, read_all
from maintenance.copy.running import copy_here, relocation_only
from support.databases import Databases
from support.mariadb import MariaDbServer
from support.requirements import requires


@pytest.fixture
def mariadb() -> Iterator[MariaDbServer]:
    server = MariaDbServer(requires("mariadb"))
    try:
        yield server.start()
        server.stop()
    finally:
        server.remove()


@pytest.mark.slow
def test_mysql_is_copied(databases: Databases, mariadb: MariaDbServer, tmp_path: Path) -> None:
    source, target = mariadb.create_database(), databases.postgresql()
    store = SqlAlchemyStore(source, "/old/artifacts")
    experiment = store.create_experiment("Grüße 😀", tags=[])
    runs = []
    for number in range(3):
        run = store.create_run(experiment, "me", 1_700_000_000_000 + number, [], f"run {number}")
        runs.append(run.info.run_id)
        store.log_batch(
            run.info.run_id,
            metrics=[
                Metric("nan", math.nan, 1, 1),
                Metric("inf", -math.inf, 2**53, 2),
                *(Metric("loss", 1 / (step + 3), step, step) for step in range(900)),
            ],
            params=[Param("p", "ü" * 5000)],
            tags=[RunTag("t", "'\"\\\n%s")],
        )
    store.delete_run(runs[0])
    with mariadb.connect("mlflow") as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs (id, creation_time, job_name, params, status, retry_count, last_update_time, progress)"
            " VALUES ('j', 1, 'n', '{}', 0, 0, 0, '[1, \"ü\"]')"
        )
        cursor.execute(
            "INSERT INTO secrets (secret_id, secret_name, encrypted_value, wrapped_dek, kek_version, masked_value,"
            " created_at, last_updated_at) VALUES ('s', 'n', x'00ff', x'01', 1, '*', 1, 1)"
        )
        cursor.execute(
            "INSERT INTO sql_trace_rollup_rebuild_queue (experiment_id, rollup_day, rollup_family)"
            " VALUES (1, '2024-02-29', 'f')"
        )
        connection.commit()
        expected = {}
        cursor.execute("SHOW TABLES")
        for (name,) in cursor.fetchall():
            cursor.execute(f"SELECT * FROM `{name}`")
            names = [column[0] for column in cursor.description]
            expected[name] = [
                {
                    key: value.isoformat() if key == "rollup_day" else value
                    for key, value in sorted(zip(names, row, strict=True))
                }
                for row in cursor.fetchall()
            ]
    summary = copy_here(source, target, artifacts=relocation_only("/old/artifacts", "s3://b/new", tmp_path / "a"))
    for row in (*expected["experiments"], *expected["runs"]):
        for key in ("artifact_location", "artifact_uri"):
            if key in row:
                row[key] = row[key].replace("/old/artifacts", "s3://b/new")
    assert summary.rows == sum(map(len, expected.values())) - 1
    assert differences(expected, read_all(target)) == []
    with psycopg.connect(target) as copied:
        latest = copied.execute("SELECT value, is_nan FROM latest_metrics WHERE key = 'inf'").fetchone()
        assert latest == (-1.7976931348623157e308, False)
