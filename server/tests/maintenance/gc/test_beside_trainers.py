"""Under load: a large collection beside trainers holds no lock for longer than a second, and takes little memory."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
import requests
from bench.gc import Scenario, count_objects, write_objects

from maintenance.gc import everything
from maintenance.gc.running import Gc
from support.databases import Databases
from support.fixtures import Starter
from support.measured import run_measured
from support.ours import TrackingServer
from support.postgres import PostgresServer
from support.processes import plain_environment
from support.requirements import requires
from support.s3 import S3Server

LONGEST_SECONDS = 1
LARGEST_MIB = 200
CONTENT = Scenario("load", runs=4_000, artifacts=3, rows=1_000_000, traces=1_000)
TRAINERS = 3

# gc is alone in the role that owns the database. Its advisory locks keep nobody from anything.
_OLDEST_TRANSACTION = """
    SELECT max(extract(epoch FROM clock_timestamp() - a.xact_start))::float8
      FROM pg_stat_activity a
     WHERE a.usename = 'mlflow' AND EXISTS (
           SELECT FROM pg_locks l
            WHERE l.pid = a.pid AND l.locktype IN ('relation', 'tuple', 'transactionid')
              AND l.mode <> 'AccessShareLock')"""
# What an INSERT of a metric needs of its run: here of the run whose turn it is to go.
_LOCK_NEXT = """
    SELECT run_uuid FROM runs WHERE lifecycle_stage = 'deleted' ORDER BY run_uuid LIMIT 1 FOR KEY SHARE"""


class _Looping(threading.Thread):
    """Takes one turn after the other until ``end``; ``longest`` is the longest turn in seconds."""

    pause = 0.005

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._ending = threading.Event()
        self._failure: Exception | None = None
        self.turns = 0
        self.longest = 0.0

    @abstractmethod
    def turn(self) -> None: ...

    def run(self) -> None:
        while not self._ending.wait(self.pause):
            began = time.monotonic()
            try:
                self.turn()
            except (psycopg.Error, requests.RequestException) as error:
                self._failure = error
                return
            self.longest = max(self.longest, time.monotonic() - began)
            self.turns += 1

    def end(self) -> None:
        """Ends the thread. Raises what a turn has raised."""
        self._ending.set()
        self.join()
        if self._failure is not None:
            raise self._failure


class Trainer(_Looping):
    """Logs to runs of its own in the experiment from which runs are deleted, through a server."""

    METRICS, BATCHES = 50, 20

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._session = requests.Session()
        self._run_id = ""

    def turn(self) -> None:
        if self.turns % self.BATCHES == 0:
            self._run_id = self._post("runs/create", {"experiment_id": "1"})["run"]["info"]["run_id"]
        metrics = [
            {"key": f"m{number}", "value": number, "timestamp": 1, "step": self.turns} for number in range(self.METRICS)
        ]
        tags = [{"key": "turn", "value": str(self.turns)}]
        self._post("runs/log-batch", {"run_id": self._run_id, "metrics": metrics, "tags": tags})

    def _post(self, path: str, body: object) -> dict[str, dict[str, dict[str, str]]]:
        answer = self._session.post(f"{self._url}/api/2.0/mlflow/{path}", json=body, timeout=60)
        answer.raise_for_status()
        found: dict[str, dict[str, dict[str, str]]] = answer.json()
        return found


class Follower(_Looping):
    """Wants, for an instant, the very rows that are being deleted."""

    def __init__(self, uri: str) -> None:
        super().__init__()
        self._connection = psycopg.connect(uri, autocommit=True)

    def turn(self) -> None:
        self._connection.execute(_LOCK_NEXT)


class Observer(_Looping):
    """Looks every few milliseconds for how long gc's transactions have held locks; ``oldest`` is in seconds."""

    def __init__(self, uri: str) -> None:
        super().__init__()
        self._connection = psycopg.connect(uri, autocommit=True)
        self.seen = 0
        self.oldest = 0.0

    def turn(self) -> None:
        row = self._connection.execute(_OLDEST_TRANSACTION).fetchone()
        if row is not None and row[0] is not None:
            self.seen += 1
            self.oldest = max(self.oldest, row[0])


@pytest.fixture
def durable_postgres() -> Iterator[PostgresServer]:
    """A server that writes as in production, so that commits take what they take."""
    server = PostgresServer(requires("postgresql"), {"fsync": "on", "full_page_writes": "on"})
    try:
        yield server.start()
        server.stop()
    finally:
        server.remove()


@pytest.mark.slow
def test_trainers_go_on(durable_postgres: PostgresServer, s3_server: S3Server, start: Starter, tmp_path: Path) -> None:
    uri = Databases(tmp_path, lambda: durable_postgres).postgresql()
    CONTENT.fill(uri)
    destination = s3_server.create_bucket("bench")
    bucket = s3_server.folder / "objects" / "bench"
    write_objects(bucket, CONTENT.run_ids(uri), CONTENT.artifacts)
    objects = count_objects(bucket)
    trainers_uri = _with_a_role_that_is_refused_long_waits(durable_postgres, uri)
    server = start(
        TrackingServer(
            tmp_path / "server",
            database_uri=trainers_uri,
            artifacts_destination=destination,
            settings={"artifacts": s3_server.artifact_settings()},
        )
    )
    gc = Gc(tmp_path, uri, destination, s3_server.artifact_settings())
    trainers = [Trainer(server.url) for _ in range(TRAINERS)]
    follower = Follower(trainers_uri)
    observer = Observer(durable_postgres.uri(uri.rpartition("/")[2], "postgres"))

    with ExitStack() as ending:
        for thread in (*trainers, follower, observer):
            thread.start()
            ending.callback(thread.end)
        done = run_measured(gc.command(), plain_environment())

    assert done.code == 0, done.output
    turns = sum(trainer.turns for trainer in trainers)
    slowest = max(trainer.longest for trainer in trainers)
    print(f"gc: {done.seconds:.1f} s, {done.peak_mib:.0f} MiB")
    print(f"{observer.seen} looks at locks: {observer.oldest:.3f} s old at most")
    print(f"longest turns: observer {observer.longest:.3f}, follower {follower.longest:.3f}, trainers {slowest:.3f} s")
    assert observer.oldest < LONGEST_SECONDS
    assert "lock timeout" not in durable_postgres.logs()
    assert done.peak_mib <= LARGEST_MIB
    # They were there, and in its way.
    assert observer.seen > 100
    assert min(trainer.turns for trainer in trainers) > 20
    assert follower.longest > 0.02
    with psycopg.connect(uri) as connection:
        left = connection.execute(
            "SELECT (SELECT count(*) FROM runs WHERE lifecycle_stage = 'deleted'), (SELECT count(*) FROM spans),"
            " (SELECT count(*) FROM metrics)"
        ).fetchone()
    assert left == (0, 0, 30 * CONTENT.runs + Trainer.METRICS * turns)
    assert (objects, count_objects(bucket)) == (CONTENT.artifacts * CONTENT.runs, 0)


@pytest.mark.slow
def test_transactions_stay_short_where_rows_are_slow(postgres_database: str, artifacts: Path, tmp_path: Path) -> None:
    """As from a cold disk: what would be deleted at first would take four seconds."""
    everything.fill(postgres_database, everything.worlds(str(artifacts)))
    with psycopg.connect(postgres_database) as connection:
        connection.execute(
            "INSERT INTO metrics (key, value, timestamp, step, is_nan, run_uuid)"
            " SELECT 'm', 1, i, i, false, %s FROM generate_series(1, 3000) i",
            [everything.run_id(2)],
        )
        connection.execute(
            "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN PERFORM pg_sleep(0.002); RETURN OLD; END'"
        )
        connection.execute("CREATE TRIGGER slow BEFORE DELETE ON metrics FOR EACH ROW EXECUTE FUNCTION slowly()")
    observer = Observer(postgres_database.replace("mlflow:", "postgres:"))
    observer.start()
    try:
        done = Gc(tmp_path, postgres_database, str(artifacts))()
    finally:
        observer.end()
    assert (done.code, done.summary["kept"]) == (0, []), done.errors
    assert done.summary["rows"] > 3000
    assert observer.seen > 100
    assert observer.oldest < LONGEST_SECONDS


def _with_a_role_that_is_refused_long_waits(server: PostgresServer, uri: str) -> str:
    """The URI for a role that may do what the owner may, and whose statements fail when a lock is long in coming."""
    server.execute(f"CREATE ROLE {{}} LOGIN IN ROLE {{}} PASSWORD '{server.password}'", "trainer", "mlflow")
    server.execute(f"ALTER ROLE {{}} SET lock_timeout = '{LONGEST_SECONDS}s'", "trainer")
    return server.uri(uri.rpartition("/")[2], "trainer")
