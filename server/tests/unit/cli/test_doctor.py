"""``doctor`` against real databases and a real object store."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from support.postgres import PostgresServer
from support.processes import free_port
from support.s3 import S3Server
from tracking_server.exit_codes import ExitCode

from .conftest import RunCommand

OLDER_HEAD = "451aebb31d03"  # the first revision of MLflow's history


class Doctor:
    """Runs ``doctor --json`` and keeps what it said."""

    def __init__(self, run: RunCommand, *arguments: str, **environment: str) -> None:
        done = run("doctor", "--json", "--port", str(free_port()), *arguments, timeout=180, **environment)
        self.output = done.stdout + done.stderr
        self.exit_code = done.returncode
        self.answer: dict[str, Any] = json.loads(done.stdout)
        self.states = {check["name"]: check["state"] for check in self.answer["checks"]}
        self.routes = {route["label"]: route for route in self.answer["routes"]["rows"]}

    @property
    def reasons(self) -> set[str]:
        return set(self.answer["routes"]["forwarded_because"])


def set_head(uri: str, head: str) -> None:
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (head,))


def test_all_is_well_on_a_tested_database(run: RunCommand, database: str) -> None:
    doctor = Doctor(run, TRACKING_SERVER_DATABASE_URI=database)
    assert doctor.exit_code == ExitCode.OK
    assert doctor.answer["ok"] is True
    assert doctor.states == {
        "database": "ok",
        "schema": "ok",
        "artifacts": "ok",
        "server": "skipped",
        "stock MLflow": "skipped",
    }
    assert doctor.answer["schema"] == {
        "state": "tested",
        "head": "dc11669786a5",
        "tested": True,
        "head_of_installed_mlflow": "dc11669786a5",
    }
    assert doctor.reasons == {"route"}
    assert doctor.routes["artifacts.list"]["answered_by"] == "native"
    assert all((route["answered_by"] == "native") == (route["reason"] is None) for route in doctor.routes.values())


def test_a_password_of_odd_characters_opens_postgresql_and_is_not_shown(
    run: RunCommand, postgres_server: PostgresServer, postgres_database: str
) -> None:
    password = "p@ss:/?#%41&+ ü=*\\"
    postgres_server.execute(f"CREATE ROLE odd LOGIN PASSWORD '{password}' IN ROLE mlflow")
    try:
        where = f"@127.0.0.1:{postgres_server.port}/{postgres_database.rpartition('/')[2]}"
        doctor = Doctor(run, TRACKING_SERVER_DATABASE_URI=f"postgresql://odd:{quote(password, safe='')}{where}")
        assert doctor.states["schema"] == "ok"
        assert password not in doctor.output
        assert quote(password, safe="") not in doctor.output
        refused = Doctor(run, TRACKING_SERVER_DATABASE_URI=f"postgresql://odd:hunter2{where}")
        assert (refused.states["database"], refused.exit_code) == ("failed", ExitCode.UNREACHABLE)
        assert "hunter2" not in refused.output
    finally:
        postgres_server.execute("DROP ROLE odd")


def test_an_untested_schema_is_served_by_forwarding(run: RunCommand, sqlite_database: str) -> None:
    set_head(sqlite_database, "ffffffffffff")
    doctor = Doctor(run, TRACKING_SERVER_DATABASE_URI=sqlite_database)
    assert (doctor.states["schema"], doctor.exit_code) == ("note", ExitCode.OK)
    assert doctor.answer["schema"]["head"] == "ffffffffffff"
    assert doctor.answer["schema"]["tested"] is False
    assert doctor.reasons == {"route", "schema"}


def test_a_schema_that_is_behind_names_the_command_that_upgrades_it(run: RunCommand, sqlite_database: str) -> None:
    set_head(sqlite_database, OLDER_HEAD)
    doctor = Doctor(run, "--start-stock", TRACKING_SERVER_DATABASE_URI=sqlite_database)
    assert (doctor.states["schema"], doctor.exit_code) == ("failed", ExitCode.DATABASE_NOT_READY)
    assert "tracking-server db upgrade" in doctor.output
    assert doctor.states["stock MLflow"] == "skipped"


def test_a_database_that_serve_would_make_is_neither_missing_nor_made(run: RunCommand, tmp_path: Path) -> None:
    doctor = Doctor(run)
    assert (doctor.states["database"], doctor.exit_code) == ("note", ExitCode.OK)
    assert doctor.reasons == {"route"}
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_reached_is_named(run: RunCommand) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    doctor = Doctor(
        run,
        *("--artifacts-destination", "s3://bucket", "--artifacts-s3-endpoint", f"http://{nowhere}"),
        TRACKING_SERVER_DATABASE_URI=f"postgresql://u:hunter2@{nowhere}/db",
        TRACKING_SERVER_ARTIFACTS_S3_ACCESS_KEY_ID="hunter2",
        TRACKING_SERVER_ARTIFACTS_S3_SECRET_ACCESS_KEY="hunter2",
    )
    assert doctor.exit_code == ExitCode.UNREACHABLE
    assert (doctor.states["database"], doctor.states["artifacts"]) == ("failed", "failed")
    assert "hunter2" not in doctor.output
    assert doctor.answer["schema"] is None
    assert doctor.reasons == {"unknown"}


def test_a_file_that_is_no_database_is_named(run: RunCommand, tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("no database" * 1000)
    doctor = Doctor(run, TRACKING_SERVER_DATABASE_URI="sqlite:///notes.db")
    assert (doctor.states["database"], doctor.exit_code) == ("failed", ExitCode.UNREACHABLE)


def test_an_object_store_is_reached_with_its_keys_alone(run: RunCommand, s3_server: S3Server, tmp_path: Path) -> None:
    destination = s3_server.create_bucket("doctor")
    secret_key = tmp_path / "secret-key"
    secret_key.write_text(s3_server.secret_key)
    secret_key.chmod(0o600)
    flags = (
        *("--artifacts-destination", destination, "--artifacts-s3-endpoint", s3_server.endpoint),
        *("--artifacts-s3-region", s3_server.region, "--artifacts-s3-secret-access-key-file", str(secret_key)),
    )
    doctor = Doctor(run, *flags, TRACKING_SERVER_ARTIFACTS_S3_ACCESS_KEY_ID=s3_server.access_key)
    assert (doctor.states["artifacts"], doctor.exit_code) == ("ok", ExitCode.OK)
    wrong = Doctor(run, *flags, TRACKING_SERVER_ARTIFACTS_S3_ACCESS_KEY_ID="somebody")
    assert (wrong.states["artifacts"], wrong.exit_code) == ("failed", ExitCode.UNREACHABLE)
    assert s3_server.secret_key not in doctor.output + wrong.output


def test_what_only_stock_knows_is_forwarded_with_the_reason(run: RunCommand) -> None:
    mysql = Doctor(run, TRACKING_SERVER_DATABASE_URI="mysql+pymysql://u:hunter2@h/db")
    assert mysql.exit_code == ExitCode.OK
    assert mysql.routes["runs.get"]["answered_by"] == "stock"
    assert "database-kind" in mysql.reasons | {mysql.routes["runs.get"]["reason"]}
    assert "hunter2" not in mysql.output
    hdfs = Doctor(run, "--artifacts-destination", "hdfs://h/artifacts")
    assert hdfs.routes["artifacts.list"]["reason"] == "artifact-destination"


def test_tables_say_the_same_to_a_person(run: RunCommand, sqlite_database: str) -> None:
    done = run("doctor", "--routes", "--port", str(free_port()), TRACKING_SERVER_DATABASE_URI=sqlite_database)
    assert done.returncode == ExitCode.OK
    assert "dc11669786a5" in done.stdout
    assert "native" in done.stdout


@pytest.mark.slow
def test_stock_is_started_for_a_trial_and_ended(run: RunCommand, sqlite_database: str) -> None:
    doctor = Doctor(run, "--start-stock", TRACKING_SERVER_DATABASE_URI=sqlite_database)
    assert (doctor.states["stock MLflow"], doctor.exit_code) == ("ok", ExitCode.OK)
