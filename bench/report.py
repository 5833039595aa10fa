"""Writes the measured part of docs/performance.md and its plots from results: python -m bench.report RESULTS.json…

Of several files later ones replace what earlier ones measured too. The text around the markers is written by hand.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench import charts
from bench.results import LARGE, OURS, SMALL, STOCK, STOCK_DEFAULT, STOCK_LARGE, Cell, Results, Round, read
from bench.targets import check_targets, cpu_saving, speed
from support.requirements import REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "performance.md"
PLOTS = REPOSITORY / "docs" / "performance"
_BEGIN, _END = "<!-- measured: python -m bench.report writes from here -->", "<!-- to here -->"


def write_report(results: Results, document: Path = DOCUMENT, plots: Path = PLOTS) -> None:
    """Replaces what stands between the markers of ``document``. Raises ValueError where it has none."""
    text = document.read_text()
    if text.count(_BEGIN) != 1 or text.count(_END) != 1:
        raise ValueError(f"{document.name} has no markers")
    drawn = charts.draw(results, plots)
    before, after = text.partition(_BEGIN)[0], text.partition(_END)[2]
    body = "\n".join(_body(results, {path.stem: f"{plots.name}/{path.name}" for path in drawn}))
    document.write_text(f"{before}{_BEGIN}\n\n{body}\n{_END}{after}")


def _body(results: Results, plots: dict[str, str]) -> Iterable[str]:
    yield "## The machine"
    yield ""
    yield "; ".join(f"{name} {value}" for name, value in results.machine.items()) + "."
    yield ""
    yield "Measured: " + "; ".join(f"{name}: {value}" for name, value in results.options.items()) + "."
    yield ""
    yield from _targets(results)
    for kind, title in (("write", "Writes"), ("read", "Reads"), ("artifact", "Artifacts"), ("mixed", "Mixed loads")):
        if cells := [cell for cell in results.cells if cell.kind == kind]:
            yield f"## {title}"
            yield ""
            if plot := plots.get(f"{kind}s"):
                yield f"![{title}]({plot})"
                yield ""
            yield from _cells(cells)
    yield from _transfers(results)
    yield from _sizes(results, plots)
    yield from _footprints(results)
    yield from _first_loads(results)
    if plot := plots.get("cpu"):
        yield from ("## Server CPU per request", "", f"![Server CPU per request]({plot})", "")
    yield from _failures(results)


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    """Columns after the first are aligned to the right."""
    yield f"| {' | '.join(titles)} |"
    yield f"|---|{'---:|' * (len(titles) - 1)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _targets(results: Results) -> Iterable[str]:
    checks = check_targets(results)
    reached = sum(check.reached is True for check in checks)
    measured = sum(check.reached is not None for check in checks)
    yield "## Targets"
    yield ""
    yield f"{reached} of {measured} measured targets are reached."
    yield ""
    words = {True: "reached", False: "**missed**", None: "not measured"}
    yield from _table(
        ("what", "target", "found", ""),
        ((check.title, check.wanted, check.found, words[check.reached]) for check in checks),
    )


_TITLES = (
    *("scenario, connections", "default /s", "stock /s", "ours /s", "ratio", "p50 ms", "p99 ms", "CPU ms", "ratio"),
    *("limit /s", "of it", "wrk"),
)


def _cells(cells: Sequence[Cell]) -> Iterable[str]:
    yield from _table(_TITLES, map(_cell, cells))


def _cell(cell: Cell) -> tuple[str, ...]:
    def both(value: Callable[[Round], float | None]) -> str:
        return f"{_number(cell.median(STOCK, value))} → {_number(cell.median(OURS, value))}"

    name, limit = cell.limit()
    fraction = cell.rate(OURS) / limit
    return (
        f"{cell.scenario}, {cell.connections}",
        _rate(cell, STOCK_DEFAULT),
        _rate(cell, STOCK),
        _rate(cell, OURS),
        _times(speed(cell)),
        both(lambda one: one.p50_ms),
        both(lambda one: one.p99_ms),
        both(lambda one: one.server_cpu_ms),
        _times(cpu_saving(cell)),
        f"{_number(limit)} ({name})" if name else "",
        "" if math.isnan(fraction) else f"{fraction:.0%}",
        _number(cell.median(OURS, lambda one: one.generator_cores)),
    )


def _rate(cell: Cell, name: str) -> str:
    """Good answers a second, with the errors of all rounds where there were any."""
    errors = sum(one.bad_status + one.socket_errors for one in cell.rounds.get(name, ()))
    return _number(cell.rate(name)) + (f" ({errors} errors)" if errors else "")


def _transfers(results: Results) -> Iterable[str]:
    if not results.transfers:
        return
    yield f"## {results.transfers[0].mib} MiB in one piece"
    yield ""
    groups = dict.fromkeys((one.direction, one.contestant) for one in results.transfers)
    rows = []
    for direction, contestant in groups:
        found = [one for one in results.transfers if (one.direction, one.contestant) == (direction, contestant)]
        growth = [one.growth_mib for one in found if one.growth_mib is not None]
        cpu = [one.server_cpu_seconds for one in found if one.server_cpu_seconds is not None]
        rows.append(
            (
                f"{direction}, {contestant}",
                _number(statistics.median(one.seconds for one in found)),
                _number(statistics.median(one.rate for one in found)),
                _number(max(growth)) if growth else "",
                _number(statistics.median(cpu)) if cpu else "",
            )
        )
    yield from _table(("", "seconds", "MiB/s", "most memory growth, MiB", "server CPU, s"), rows)


def _sizes(results: Results, plots: dict[str, str]) -> Iterable[str]:
    if not results.sizes:
        return
    yield "## As data grow"
    yield ""
    if plot := plots.get("sizes"):
        yield f"![As data grow]({plot})"
        yield ""

    def row(cell: Cell) -> tuple[str, ...]:
        small, large, stock = (cell.median(name, lambda one: one.p50_ms) for name in (SMALL, LARGE, STOCK_LARGE))
        return (
            cell.scenario,
            str(cell.connections),
            _number(small),
            _number(large),
            f"{large / small:.2f}×",
            _number(stock),
        )

    titles = ("p50 in ms", "connections", SMALL, LARGE, "ratio", STOCK_LARGE)
    yield from _table(titles, map(row, results.sizes))


def _footprints(results: Results) -> Iterable[str]:
    if not results.footprints:
        return
    yield "## Start and memory"
    yield ""
    titles = (
        "alone on the machine",
        "first answer, s",
        "idle, MiB (PSS)",
        "loaded, MiB",
        "processes",
        "cores when idle",
    )
    yield from _table(
        titles,
        (
            (
                one.deployment,
                _number(statistics.median(one.start_seconds)),
                _number(one.idle_mib),
                _number(one.loaded_mib),
                str(len(one.processes)),
                f"{one.idle_cores:.3f}",
            )
            for one in results.footprints
        ),
    )
    for one in results.footprints:
        if one.deployment.startswith("ours: 2"):
            each = "; ".join(f"`{command}` {_number(mib)}" for command, mib in one.processes)
            yield f"Of {one.deployment}, each process: {each} MiB."
            yield ""


def _first_loads(results: Results) -> Iterable[str]:
    if not results.first_loads:
        return
    yield "## The UI's first load"
    yield ""
    yield from _table(
        ("page, server", "requests", "MiB over the wire", "seconds until its contents show"),
        (
            (
                f"{one.page}, {one.contestant}",
                str(one.requests),
                f"{one.transferred_bytes / 2**20:.2f}",
                _number(statistics.median(one.seconds)),
            )
            for one in results.first_loads
        ),
    )


def _failures(results: Results) -> Iterable[str]:
    if results.failures:
        yield from ("## Failures", "", *(f"* {failure}" for failure in results.failures), "")


def _number(value: float) -> str:
    if math.isnan(value):
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _times(value: float) -> str:
    if math.isnan(value):
        return ""
    return "∞" if math.isinf(value) else f"{_number(value)}×"


def main(arguments: Sequence[str]) -> int:
    """Reads the files of results and writes the report."""
    if not arguments:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    write_report(read(map(Path, arguments)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
