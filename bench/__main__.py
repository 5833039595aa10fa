"""Measures the tracking server against stock MLflow with uvloop, on the same PostgreSQL, in one run."""

from __future__ import annotations

import math
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import load, machine, seed
from bench.deployment import Choices, Deployment, deployment, idle_cores
from bench.first_load import measure_first_loads
from bench.footprint import measure_footprints
from bench.lua import RunIds
from bench.measure import compare_answers, measure
from bench.options import Options, parse
from bench.results import OURS, STOCK, Cell, Results
from bench.scenarios import scenarios
from bench.sizes import measure_sizes
from bench.transfers import measure_transfers


def main(arguments: Sequence[str]) -> int:
    """Prints a line a cell; the exit status is 1 when ours failed somewhere."""
    assert __doc__ is not None
    options = parse(arguments, __doc__)
    load.find_wrk()
    # Ends as by an interrupt: with the servers stopped and their files removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    choices = Choices(options.stock_workers, options.workers, options.contestants, options.settings)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, deployment(Path(folder), choices) as deployed:
        results = Results(machine=machine.describe(deployed.postgres.admin_uri), options=options.described())
        for described in (results.machine, results.options):
            _say(", ".join(f"{name} {value}" for name, value in described.items()))
        if options.large:
            measure_sizes(deployed, options, results, _say)
            _write(results, options)
        else:
            sizes = seed.Sizes.of(options.runs, options.rows)
            deployed.fill(sizes)
            _say(f"seeded in {time.monotonic() - started:.0f} s")
            _measure_all(deployed, deployed.run_ids(sizes), options, results)
    _say(f"{(time.monotonic() - started) / 60:.0f} minutes")
    for failure in results.failures:
        _say(f"FAILED: {failure}")
    return 1 if results.failures else 0


def _measure_all(deployed: Deployment, runs: Mapping[str, RunIds], options: Options, results: Results) -> None:
    wanted = [scenario for scenario in scenarios(runs) if options.wants(scenario.name)]
    if options.wants("footprint"):
        busy = next(scenario for scenario in scenarios(runs) if scenario.name == "mixed")
        measure_footprints(deployed, busy, options.seconds, results, _say)
        _write(results, options)
    with deployed.contestants() as contestants:
        _say(f"idle, all servers together take {idle_cores(contestants, 3):.3f} cores")
        _say(_TITLES)
        for scenario in wanted:
            compare_answers(contestants, scenario, results)
            for connections in scenario.connections:
                if not options.wants(scenario.name, connections):
                    continue
                cells = measure(
                    contestants,
                    scenario,
                    connections,
                    seconds=options.seconds,
                    rounds=options.rounds,
                    settle=deployed.settle,
                    results=results,
                )
                results.cells += cells
                for cell in cells:
                    _say(_line(cell))
                _write(results, options)
        if options.wants("1 GiB"):
            measure_transfers(contestants, deployed.folder, options.object_mib, options.rounds, results, _say)
        if options.wants("first load"):
            measure_first_loads(contestants, options.rounds, results, _say)
        _write(results, options)


def _write(results: Results, options: Options) -> None:
    if options.json:
        results.write(options.json)


_TITLES = (
    f"{'scenario':34} {'conn.':>5} {'stock/s':>9} {'ours/s':>9} {'ratio':>7} {'p99 stock':>10} {'p50 ours':>9}"
    f" {'p99 ours':>9} {'ms CPU':>7} {'ratio':>6} {'limit/s':>9} {'of it':>5}"
)


def _line(cell: Cell) -> str:
    def p(name: str, which: str) -> str:
        return f"{cell.median(name, lambda one: one.p50_ms if which == '50' else one.p99_ms):.1f}"

    stock, ours = cell.rate(STOCK), cell.rate(OURS)
    cpu = {name: cell.median(name, lambda one: one.server_cpu_ms) for name in (STOCK, OURS)}
    limit, rate = cell.limit()
    return (
        f"{cell.scenario:34.34} {cell.connections:>5} {stock:>9.1f} {ours:>9.1f}"
        f" {ours / stock if stock else math.inf:>6.1f}x {p(STOCK, '99'):>10} {p(OURS, '50'):>9} {p(OURS, '99'):>9}"
        f" {cpu[OURS]:>7.3f} {cpu[STOCK] / cpu[OURS]:>5.0f}x {rate:>9.1f} {ours / rate:>5.0%} {limit}"
    )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
