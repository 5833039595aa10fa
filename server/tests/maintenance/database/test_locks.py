"""Who may change a database at the same time: upgrades, servers, and none of them together."""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
import requests
import sqlalchemy as sa

from support.databases import Dialect
from support.fixtures import Starter
from support.ours import TrackingServer
from tracking_server.exit_codes import ExitCode
from tracking_server.store.lock_names import SERVING_KEY, UPGRADE_KEY, serving_lock_file, upgrade_lock_file

from .conftest import Database
from .old_schemas import OldDatabases, engine_of, upgrade_to

DatabaseAt = Callable[[str], Database]
BEFORE_LAST = "75868b020152"


@contextmanager
def held(uri: str, key: int) -> Iterator[None]:
    """Holds a lock as another upgrade would."""
    if uri.startswith("sqlite"):
        path = Path(uri.removeprefix("sqlite:///"))
        with (upgrade_lock_file if key == UPGRADE_KEY else serving_lock_file)(path).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    else:
        with psycopg.connect(uri) as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", (key,))
            yield


def make(folder: Path, uri: str) -> TrackingServer:
    return TrackingServer(folder, database_uri=uri, artifacts_destination=str(folder / "artifacts"))


@pytest.mark.parametrize("dialect", ["postgresql", pytest.param("sqlite", marks=pytest.mark.slow)])
def test_two_upgrades_do_not_run_together(
    dialect: Dialect, old_databases: OldDatabases, database_at: DatabaseAt
) -> None:
    database = database_at(old_databases.create("3.9", dialect))
    with held(database.uri, UPGRADE_KEY):
        done = database.run("upgrade")
        assert done.returncode == ExitCode.LOCKED
        assert "another upgrade" in done.stderr
    assert database.status()[1]["state"] == "behind"


def set_revision(uri: str, revision: str) -> None:
    with engine_of(uri).begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


def test_a_serving_server_keeps_an_upgrade_away(
    database: str, database_at: DatabaseAt, start: Starter, tmp_path: Path
) -> None:
    command = database_at(database)
    server = start(make(tmp_path / "server", database))
    set_revision(database, BEFORE_LAST)

    done = command.run("upgrade")

    assert done.returncode == ExitCode.LOCKED
    assert "serve" in done.stderr
    if database.startswith("postgresql"):
        assert "tracking-server serve on " in done.stderr
    server.kill()
    # The upgrade is now free to run, and meets tables that are there: what matters is that no lock is left.
    done = command.run("upgrade")
    assert done.returncode == ExitCode.FAILURE
    assert "already exists" in done.stderr
    assert command.status()[1]["current"] == BEFORE_LAST


def test_a_server_waits_for_the_end_of_an_upgrade(database: str, tmp_path: Path) -> None:
    server = make(tmp_path, database)
    with ExitStack() as stack:
        with held(database, SERVING_KEY):
            server.launch()
            stack.callback(server.kill)
            deadline = time.monotonic() + 60
            while "an upgrade of the database is running" not in server.logs():
                assert time.monotonic() < deadline, server.logs()
                time.sleep(0.1)
            assert "tested" not in server.logs()
        server.wait_until_ready()
        assert requests.get(f"{server.url}/-/ready", timeout=10).status_code == 200


@pytest.mark.slow
def test_several_servers_start_on_one_empty_database(
    old_databases: OldDatabases, start: Starter, tmp_path: Path
) -> None:
    uri = old_databases.empty("postgresql")
    servers = [make(tmp_path / str(number), uri) for number in range(3)]
    with ExitStack() as stack:
        for server in servers:
            server.launch()
            stack.callback(server.kill)
        for server in servers:
            server.wait_until_ready()
        for server in servers:
            found = requests.get(
                f"{server.url}/api/2.0/mlflow/experiments/get", params={"experiment_id": "0"}, timeout=30
            )
            assert found.json()["experiment"]["name"] == "Default"


def test_prepared_indexes_make_the_upgrade_take_them(old_databases: OldDatabases, database_at: DatabaseAt) -> None:
    database = database_at(old_databases.create("3.9", "postgresql"))
    with psycopg.connect(database.uri) as serving:
        serving.execute("SELECT pg_advisory_lock_shared(%s)", (SERVING_KEY,))
        serving.commit()
        done = database.run("upgrade", "--prepare")
        assert done.returncode == 0, done.stderr
        assert "built index_metrics_run_uuid_key_step beforehand" in done.stderr
        assert database.status()[1]["state"] == "behind"
        assert "tracking_server_prepared_" in database.run("indexes", "status", "--json").stdout
        built = _oid(serving, "tracking_server_prepared_%")
        assert built
        assert database.run("upgrade").returncode == ExitCode.LOCKED
    database.upgrade()
    with psycopg.connect(database.uri) as connection:
        assert _oid(connection, "tracking_server_prepared_%") == set()
        assert _oid(connection, "index_metrics_run_uuid_key_step") <= built


def _oid(connection: psycopg.Connection[tuple[object, ...]], pattern: str) -> set[object]:
    found = connection.execute("SELECT oid FROM pg_class WHERE relname LIKE %s AND relkind = 'i'", (pattern,))
    return {row[0] for row in found.fetchall()}


def test_an_upgrade_online_does_not_disturb_a_writer(old_databases: OldDatabases, database_at: DatabaseAt) -> None:
    database = database_at(old_databases.create("3.9", "postgresql"))
    refused = database.run("upgrade", "--online")
    assert refused.returncode == ExitCode.LOCKED
    assert "need the servers stopped" in refused.stderr
    upgrade_to(database.uri, BEFORE_LAST)
    stop = threading.Event()
    waits: list[float] = []

    def write() -> None:
        with psycopg.connect(database.uri, autocommit=True) as connection:
            connection.execute("SELECT pg_advisory_lock_shared(%s)", (SERVING_KEY,))
            while not stop.is_set():
                began = time.monotonic()
                connection.execute("UPDATE runs SET end_time = coalesce(end_time, 0) + 1")
                connection.execute("INSERT INTO trace_tags SELECT md5(random()::text), 'v', 'tr-1'")
                waits.append(time.monotonic() - began)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert database.upgrade("--online")["revisions"] == 1
    finally:
        stop.set()
        writer.join(30)
    assert len(waits) > 10
    assert max(waits) < 10
