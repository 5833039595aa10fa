"""The servers that the other suites stand on do what those suites take for granted."""

from __future__ import annotations

import http.server
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import psycopg
import pytest
from playwright.sync_api import Page

from support.fixtures import Starter
from support.ours import TrackingServer
from support.postgres import PostgresServer
from support.processes import http_status
from support.requirements import requires
from support.s3 import S3Server
from support.stock import StockServer


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    server = PostgresServer(requires("postgresql"))
    yield server.start()
    server.remove()


def test_postgresql_keeps_committed_rows_when_killed_and_stopped(own_postgres: PostgresServer) -> None:
    uri = own_postgres.create_database("kept")
    with psycopg.connect(uri) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS n")
        connection.commit()
        own_postgres.kill()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert not own_postgres.is_ready()
    own_postgres.start()
    with psycopg.connect(uri) as connection:
        connection.execute("INSERT INTO t VALUES (2)")
    assert own_postgres.stop() == 0
    own_postgres.start()
    with psycopg.connect(uri) as connection:
        assert connection.execute("SELECT n FROM t ORDER BY n").fetchall() == [(1,), (2,)]


def test_postgresql_asks_for_the_password(postgres_server: PostgresServer) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres_server.uri("postgres").replace(postgres_server.password, "wrong"))


def test_postgresql_databases_are_separate_and_have_the_schema(postgres_database: str) -> None:
    with psycopg.connect(postgres_database) as connection:
        assert connection.execute("SELECT count(*) FROM experiments").fetchone() == (0,)
        row = connection.execute("SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    assert row == ("mlflow", False)


def test_sqlite_databases_are_separate_and_have_the_schema(sqlite_database: str) -> None:
    with closing(sqlite3.connect(sqlite_database.removeprefix("sqlite:///"))) as connection:
        assert connection.execute("SELECT count(*) FROM experiments").fetchone() == (0,)


@pytest.fixture(params=["chosen", "rclone"])
def each_s3_server(request: pytest.FixtureRequest, start: Starter, tmp_path: Path) -> S3Server:
    """The S3 server that this machine tests with, and rclone, which stands in for it."""
    if request.param == "rclone":
        return start(S3Server(Path(sys.executable).with_name("rclone"), tmp_path))
    return start(S3Server(requires("s3"), tmp_path))


def test_s3_keeps_objects(each_s3_server: S3Server) -> None:
    bucket = each_s3_server.create_bucket("support").removeprefix("s3://")
    client = each_s3_server.client()
    client.put_object(Bucket=bucket, Key="a/b c+d.bin", Body=b"\x00\xff", ContentType="application/x-thing")
    assert client.get_object(Bucket=bucket, Key="a/b c+d.bin")["Body"].read() == b"\x00\xff"
    assert [found["Key"] for found in client.list_objects_v2(Bucket=bucket, Prefix="a/")["Contents"]] == ["a/b c+d.bin"]


@pytest.mark.slow
def test_stock_mlflow_serves_a_copied_database_and_leaves_no_process(
    start: Starter, tmp_path: Path, postgres_database: str
) -> None:
    stock = start(
        StockServer(tmp_path, backend_store_uri=postgres_database, artifacts_destination=f"{tmp_path}/artifacts")
    )
    assert http_status(stock.port, "/version") == 200
    assert http_status(stock.port, "/api/2.0/mlflow/experiments/get?experiment_id=0") == 200
    assert len(stock.pids()) > 1
    stock.stop()
    assert http_status(stock.port, "/health") is None


def test_the_tracking_server_starts_on_s3_with_workers_and_ends_by_sigterm(
    start: Starter, tmp_path: Path, sqlite_database: str, s3_server: S3Server
) -> None:
    server = start(
        TrackingServer(
            tmp_path,
            database_uri=sqlite_database,
            artifacts_destination=s3_server.create_bucket("ours"),
            workers=2,
            settings={"artifacts": s3_server.artifact_settings(), "logging": {"format": "json"}},
        )
    )
    assert http_status(server.port, "/version") == 200
    assert len(server.pids()) > 2
    family = server.pids()
    assert server.stop() == 0
    assert not any(psutil.pid_exists(pid) for pid in family)


class _Greeter(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<title>hello</title><script>document.title += ' ' + navigator.userAgent.length</script>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


def test_the_browser_runs_a_page(browser_page: Page) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Greeter) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser_page.goto(f"http://127.0.0.1:{server.server_port}/")
        assert browser_page.title().startswith("hello ")
        server.shutdown()
