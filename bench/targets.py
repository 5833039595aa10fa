"""The targets, and whether results reach them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from bench.results import LARGE, OURS, SDK, SMALL, STOCK, Cell, Results, Round

_MOST_GROWTH_MIB = 64


@dataclass(frozen=True, slots=True)
class Check:
    """A target and what was found. ``reached`` is None where it was not measured."""

    title: str
    wanted: str
    found: str
    reached: bool | None


def check_targets(results: Results) -> list[Check]:
    """All targets, in the order in which they are promised."""
    return [
        *_faster(results, "log-metric", 64, 50),
        _p99(results, "log-metric", 64, 20),
        _limit(results, "log-metric", 64, 0.55),
        *_faster(results, "log-metric", 8, 8),
        _p99(results, "log-metric", 8, 8),
        *(check for connections in (8, 64) for check in _batch(results, "log-batch of 100", connections, 8, 0.8)),
        *_batch(results, "log-batch of 1,000", 8, 6.5, 0.75),
        *_faster(results, "log-batch of 100 params", 8, 8),
        *_faster(results, "create run", 8, 12),
        _cpu(results, "writes", 50, lambda cell: cell.kind == "write"),
        _cpu(results, "searches", 150, lambda cell: cell.kind == "read" and "search" in cell.scenario),
        *_faster(results, "search 100 runs", 8, 40),
        _p50(results, "search 100 runs", 8, 25),
        *_faster(results, "search by metric and param", 8, 25),
        *_faster(results, "search 10 runs", 8, 25),
        *_faster(results, "search the tenth page of 100 runs", 8, 25),
        *_faster(results, "metric history of 25,000", 8, 25),
        *_faster(results, "bulk-interval on 10 runs", 8, 25),
        *_faster(results, "bulk-interval on the longest run", 8, 20),
        *_faster(results, "search experiments", 8, 25),
        *_faster(results, "get run", 8, 30),
        *_faster(results, "registry search", 8, 30),
        *_faster(results, "1 MiB artifact up", 64, 5),
        *_faster(results, "1 MiB artifact down", 64, 5),
        *_transfers(results),
        _no_error(results, "one run, random order of keys", 32),
        *_footprint(results),
        *_sizes(results),
        _p50(results, "mlflow-rs's load: 8 trainers log batches of 3", 8, 2.5),
        _p50(results, "mlflow-rs's load: 2 readers search 50 runs", 2, 3),
        _p50(results, "mlflow-rs's load: 2 readers get a history", 2, 1),
    ]


def speed(cell: Cell) -> float:
    """Ours against stock in good answers a second; infinite where stock gave none, NaN where one is missing."""
    stock, ours = cell.rate(STOCK), cell.rate(OURS)
    return ours / stock if stock else math.inf


def cpu_saving(cell: Cell) -> float:
    """Stock's processor time for a good answer against ours."""
    stock, ours = (cell.median(name, lambda one: one.server_cpu_ms) for name in (STOCK, OURS))
    return stock / ours if ours else math.nan


def _check(title: str, wanted: str, value: float, shown: str, reached: Callable[[float], bool]) -> Check:
    if math.isnan(value):
        return Check(title, wanted, "not measured", None)
    return Check(title, wanted, shown, reached(value))


def _named(scenario: str, connections: int) -> str:
    return f"{scenario}, {connections} connections"


def _value(results: Results, scenario: str, connections: int, of: Callable[[Cell], float]) -> float:
    cell = results.cell(scenario, connections)
    return math.nan if cell is None else of(cell)


def _faster(results: Results, scenario: str, connections: int, times: float) -> Iterator[Check]:
    value = _value(results, scenario, connections, speed)
    yield _check(
        _named(scenario, connections), f"≥ {times:g}× requests/s", value, _times(value), lambda value: value >= times
    )


def _batch(results: Results, scenario: str, connections: int, times: float, share: float) -> Iterator[Check]:
    yield from _faster(results, scenario, connections, times)
    yield _limit(results, scenario, connections, share)
    yield _no_error(results, scenario, connections)


def _limit(results: Results, scenario: str, connections: int, share: float) -> Check:
    def fraction(cell: Cell) -> float:
        return cell.rate(OURS) / cell.limit()[1]

    value = _value(results, scenario, connections, fraction)
    wanted = f"≥ {share:.0%} of the limit"
    return _check(_named(scenario, connections), wanted, value, f"{value:.0%}", lambda value: value >= share)


def _p99(results: Results, scenario: str, connections: int, times: float) -> Check:
    def quicker(cell: Cell) -> float:
        stock, ours = (cell.median(name, lambda one: one.p99_ms) for name in (STOCK, OURS))
        return stock / ours

    value = _value(results, scenario, connections, quicker)
    wanted = f"p99 ≤ 1/{times:g} of stock's"
    return _check(_named(scenario, connections), wanted, value, f"1/{value:.1f}", lambda value: value >= times)


def _p50(results: Results, scenario: str, connections: int, milliseconds: float) -> Check:
    value = _value(results, scenario, connections, lambda cell: cell.median(OURS, lambda one: one.p50_ms))
    wanted = f"p50 ≤ {milliseconds:g} ms"
    return _check(_named(scenario, connections), wanted, value, f"{value:.2f} ms", lambda value: value <= milliseconds)


def _cpu(results: Results, what: str, times: float, chosen: Callable[[Cell], bool]) -> Check:
    found = {
        _named(cell.scenario, cell.connections): cpu_saving(cell)
        for cell in results.cells
        if chosen(cell) and not math.isnan(cpu_saving(cell))
    }
    value = min(found.values(), default=math.nan)
    worst = min(found, key=lambda name: found[name], default="")
    middle = statistics.median(found.values()) if found else math.nan
    shown = f"1/{middle:.0f} in the middle, 1/{value:.0f} at worst ({worst})"
    wanted = f"≤ 1/{times:g} of stock's"
    return _check(f"server CPU per request, {what}", wanted, value, shown, lambda value: value >= times)


def _no_error(results: Results, scenario: str, connections: int) -> Check:
    def problems(cell: Cell) -> float:
        return sum(bool(one.problem) for one in cell.rounds[OURS]) if OURS in cell.rounds else math.nan

    def errors(one: Round) -> int:
        return one.bad_status + one.socket_errors

    value = _value(results, scenario, connections, problems)
    cell = results.cell(scenario, connections)
    rounds = cell.rounds if cell is not None else {}
    counts = {name: sum(map(errors, rounds.get(name, ()))) for name in (OURS, STOCK)}
    shown = f"{counts[OURS]} errors (stock: {counts[STOCK]})"
    return _check(_named(scenario, connections), "no error at all", value, shown, lambda value: value == 0)


def _transfers(results: Results) -> Iterator[Check]:
    for direction in ("up", "down"):
        found = {
            name: [one for one in results.transfers if (one.contestant, one.direction) == (name, direction)]
            for name in (OURS, SDK)
        }
        rates = {name: _median(one.rate for one in found[name]) for name in found}
        value = rates[OURS] / rates[SDK]
        title = f"1 GiB artifact {direction}"
        yield _check(title, "≥ 80% of the SDK directly", value, f"{value:.0%}", lambda value: value >= 0.8)
        growth = max((one.growth_mib for one in found[OURS] if one.growth_mib is not None), default=math.nan)
        wanted = f"≤ {_MOST_GROWTH_MIB} MiB more memory"
        yield _check(title, wanted, growth, f"{growth:.0f} MiB", lambda growth: growth <= _MOST_GROWTH_MIB)


def _footprint(results: Results) -> Iterator[Check]:
    by_name = {one.deployment: one for one in results.footprints}
    stock = next((one for name, one in by_name.items() if name.startswith("stock by default")), None)
    for name, one in by_name.items():
        if name.startswith("ours") and "stock behind" in name and "no stock" not in name:
            share = one.idle_mib / stock.idle_mib if stock is not None else math.nan
            shown = f"{share:.2f} ({one.idle_mib:.0f} MiB)"
            wanted = "≤ 1/4 of stock's default"
            yield _check(f"idle memory, {name}", wanted, share, shown, lambda share: share <= 0.25)
            start = _median(one.start_seconds)
            yield _check(
                f"first answer after start, {name}", "≤ 1.0 s", start, f"{start:.2f} s", lambda start: start <= 1.0
            )


def _sizes(results: Results) -> Iterator[Check]:
    for cell in results.sizes:
        small, large = (cell.median(name, lambda one: one.p50_ms) for name in (SMALL, LARGE))
        value = large / small
        title = f"{_named(cell.scenario, cell.connections)}: 100 M rows against 1 M"
        shown = f"{value:.2f}× ({small:.2f} → {large:.2f} ms)"
        yield _check(title, "p50 ≤ 1.3×", value, shown, lambda value: value <= 1.3)


def _median(values: Iterable[float]) -> float:
    found = list(values)
    return statistics.median(found) if found else math.nan


def _times(value: float) -> str:
    return "∞ (stock gave no good answer)" if math.isinf(value) else f"{value:.1f}×"
