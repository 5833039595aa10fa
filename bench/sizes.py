"""Ours on little and on much data, and stock on much: whether answers take longer as data grow."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from time import monotonic

from bench import seed
from bench.contestants import Database, ServerSide
from bench.deployment import Deployment
from bench.measure import compare_answers, measure
from bench.options import Options
from bench.results import LARGE, OURS, SMALL, STOCK, STOCK_LARGE, Cell, Results
from bench.scenarios import scenarios

_CONNECTIONS = 8
_HOT = (
    *("get run", "search 100 runs", "search by metric and param", "search 10 runs", "search experiments"),
    *("metric history of 25,000", "bulk-interval on 10 runs", "registry search"),
    *("log-metric", "log-batch of 100", "create run"),
)


def measure_sizes(deployed: Deployment, options: Options, results: Results, say: Callable[[str], None]) -> None:
    """Seeds a database of 1 M and one of ``options.rows`` metric rows; stock and ours share the large one in turns.

    What is asked for is equal in both: the same runs, with histories of the same lengths.
    """
    large = seed.Sizes.of(options.runs, options.rows)
    small = replace(large, rows=0, long_steps=1)
    uris = {}
    for title, sizes in ((SMALL, small), (LARGE, large)):
        started = monotonic()
        uris[title] = deployed.new_database(sizes)
        say(f"{title}: {seed.count_metrics(uris[title]):,} metric rows, seeded in {monotonic() - started:.0f} s")
    runs = deployed.run_ids(large)
    shared = Database(uris[LARGE])
    with ExitStack() as stack:
        contestants = [
            ServerSide(title, stack.enter_context(deployed.server(kind, database, title=title)), database, rounds)
            for title, kind, database, rounds in (
                (SMALL, OURS, Database(uris[SMALL]), options.rounds),
                (LARGE, OURS, shared, options.rounds),
                (STOCK_LARGE, STOCK, shared, 1),
            )
        ]
        for scenario in scenarios(runs):
            if scenario.name not in _HOT or not options.wants(scenario.name):
                continue
            compare_answers(contestants, scenario, results, STOCK_LARGE, LARGE)
            cells = measure(
                contestants,
                scenario,
                _CONNECTIONS,
                seconds=options.seconds,
                rounds=options.rounds,
                settle=deployed.settle,
                results=results,
            )
            results.sizes += cells
            for cell in cells:
                say(_line(cell))


def _line(cell: Cell) -> str:
    small, large, stock = (cell.median(name, lambda one: one.p50_ms) for name in (SMALL, LARGE, STOCK_LARGE))
    return f"{cell.scenario:34.34} p50 {small:.2f} → {large:.2f} ms ({large / small:.2f}×), stock {stock:.1f} ms"
