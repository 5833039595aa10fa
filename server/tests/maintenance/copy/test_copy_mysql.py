"""MySQL → PostgreSQL, where a server (MariaDB) and its driver are at hand: neither is part of this product."""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
from mlflow.entities import Metric, Param, RunTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from maintenance.copy.reading import differences, read_all
from maintenance.copy.running import copy_here, relocation_only
from support.databases import Databases
from support.processes import LOCALHOST, ServerProcess, plain_environment

_SERVER = shutil.which("mariadbd") or shutil.which("mysqld")
_INSTALL = shutil.which("mariadb-install-db") or shutil.which("mysql_install_db")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        _SERVER is None or _INSTALL is None or importlib.util.find_spec("pymysql") is None,
        reason="needs MariaDB's server and the package pymysql",
    ),
]


def _driver() -> Any:
    # It has no types, and may be missing.
    return importlib.import_module("pymysql")


class MariaDbServer(ServerProcess):
    """MariaDB without passwords, in a folder of its own."""

    name = "mariadb"
    user = "nobody" if os.geteuid() == 0 else None

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._data = folder / "data"
        self._data.mkdir()
        if self.user:
            for each in (folder, self._data):
                shutil.chown(each, self.user)
        subprocess.run(
            [str(_INSTALL), f"--datadir={self._data}", "--auth-root-authentication-method=normal", "--skip-test-db"]
            + ([f"--user={self.user}"] if self.user else []),
            check=True,
            capture_output=True,
        )

    def command(self) -> Sequence[str | Path]:
        return [
            *(str(_SERVER), "--no-defaults", f"--datadir={self._data}", f"--socket={self.folder}/socket"),
            *(f"--port={self.port}", f"--bind-address={LOCALHOST}", "--innodb-flush-log-at-trx-commit=0"),
            *(f"--pid-file={self.folder}/pid", f"--tmpdir={self._data}"),
        ]

    def is_ready(self) -> bool:
        try:
            self.connect().close()
        except _driver().Error:
            return False
        return True

    def connect(self, database: str | None = None) -> Any:
        """A connection of the driver."""
        return _driver().connect(host=LOCALHOST, port=self.port, user="root", database=database, charset="utf8mb4")

    def create_database(self) -> str:
        """Makes a database with MLflow's schema; returns its URI."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE mlflow CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        uri = f"mysql+pymysql://root@{LOCALHOST}:{self.port}/mlflow"
        done = subprocess.run(
            [sys.executable, "-m", "mlflow", "db", "upgrade", uri],
            env=plain_environment({"MLFLOW_DISABLE_TELEMETRY": "true"}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return uri


@pytest.fixture
def mariadb() -> Iterator[MariaDbServer]:
    # pytest's temporary folders are closed to the user that the server runs as.
    folder = Path(tempfile.mkdtemp(prefix="mariadb-"))
    try:
        with MariaDbServer(folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
            cursor.execute(f"SELECT * FROM `{name}`")  # noqa: S608  a name of the schema
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
