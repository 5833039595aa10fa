"""Plots of results as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.results import LARGE, OURS, SMALL, STOCK, Cell, Results
from bench.targets import cpu_saving

_STOCK, _OURS, _LIMIT = "#9aa5b1", "#1f77b4", "#d9822b"
_ROW_HEIGHT = 0.42


def draw(results: Results, folder: Path) -> list[Path]:
    """Writes the plots for which there are results; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    # Text stays text, and the same results make the same file.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "bench", "font.size": 9}):
        for kind in ("write", "read", "artifact"):
            if cells := [cell for cell in results.cells if cell.kind == kind and OURS in cell.rounds]:
                drawn.append(_save(_rates(cells, f"Requests a second ({kind}s)"), folder / f"{kind}s.svg"))
        compared = [cell for cell in results.cells if cell.kind in ("write", "read")]
        if cells := [cell for cell in compared if not math.isnan(cpu_saving(cell))]:
            drawn.append(_save(_cpu(cells), folder / "cpu.svg"))
        if results.sizes:
            drawn.append(_save(_sizes(results.sizes), folder / "sizes.svg"))
    return drawn


def _label(cell: Cell) -> str:
    return f"{cell.scenario}, {cell.connections}"


def _bars(labels: Sequence[str], series: Sequence[tuple[str, str, Sequence[float]]], title: str, axis: str) -> Figure:
    """Horizontal bars on a logarithmic axis: a group for each label, a bar in it for each of (name, colour, values)."""
    figure = Figure(figsize=(8, 0.9 + _ROW_HEIGHT * len(labels)), layout="constrained", facecolor="white")
    axes = figure.subplots()
    thickness = 0.8 / len(series)
    for number, (name, colour, values) in enumerate(series):
        places = [row + (number - (len(series) - 1) / 2) * thickness for row in range(len(labels))]
        # Nothing is drawn for what was not measured, nor for no good answer at all.
        shown = [value if value > 0 and math.isfinite(value) else math.nan for value in values]
        axes.barh(places, shown, thickness * 0.92, color=colour, label=name)
        for place, value in zip(places, shown, strict=True):
            if not math.isnan(value):
                axes.text(value, place, f" {_short(value)}", va="center", fontsize=6.5)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.margins(x=0.12, y=0.01)
    axes.set_title(title, loc="left")
    axes.set_xlabel(axis)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    if len(series) > 1:
        figure.legend(loc="outside lower center", ncols=len(series), frameon=False)
    return figure


def _rates(cells: Sequence[Cell], title: str) -> Figure:
    series = [
        ("stock", _STOCK, [cell.rate(STOCK) for cell in cells]),
        ("ours", _OURS, [cell.rate(OURS) for cell in cells]),
        ("limit", _LIMIT, [cell.limit()[1] for cell in cells]),
    ]
    return _bars([_label(cell) for cell in cells], series, title, "scenario, connections; logarithmic")


def _cpu(cells: Sequence[Cell]) -> Figure:
    series = [
        (name, colour, [cell.median(name, lambda one: one.server_cpu_ms) for cell in cells])
        for name, colour in ((STOCK, _STOCK), (OURS, _OURS))
    ]
    return _bars([_label(cell) for cell in cells], series, "Server CPU per request", "milliseconds; logarithmic")


def _sizes(cells: Sequence[Cell]) -> Figure:
    series = [
        (name, colour, [cell.median(name, lambda one: one.p50_ms) for cell in cells])
        for name, colour in ((SMALL, _STOCK), (LARGE, _OURS))
    ]
    return _bars([_label(cell) for cell in cells], series, "Latency (p50) as data grow", "milliseconds; logarithmic")


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, format="svg", metadata={"Date": None})
    # Trailing spaces, as Matplotlib writes them, are no use in a repository.
    path.write_text("".join(line.rstrip() + "\n" for line in path.read_text().splitlines()))
    return path
