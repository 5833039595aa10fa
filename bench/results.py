"""What a benchmark found, as it is written to a JSON file and read for the report."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")

STOCK, STOCK_DEFAULT, OURS = "stock", "stock default", "ours"
SMALL, LARGE, STOCK_LARGE = "ours, 1 M rows", "ours, 100 M rows", "stock, 100 M rows"
DRIVER, DRIVER_COALESCING, NOOP, SDK = "driver", "driver coalescing", "no-op", "SDK"


class Round(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One contestant under one load once. ``requests`` were answered, ``bad_status`` of them not 2xx.

    ``server_cpu_ms`` is the server's processor time for a good answer, None where there is no server.
    ``problem`` says in words why the round does not count as good.
    """

    requests: int
    bad_status: int
    socket_errors: int
    seconds: float
    p50_ms: float
    p99_ms: float
    server_cpu_ms: float | None = None
    generator_cores: float = 0.0
    acknowledged_rows: int = 0
    stored_rows: int = 0
    problem: str = ""

    @property
    def good(self) -> int:
        return self.requests - self.bad_status

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return self.good / self.seconds


class Cell(msgspec.Struct, kw_only=True):
    """A scenario at a number of connections, with the rounds of each contestant by its name."""

    scenario: str
    connections: int
    kind: str
    rounds: dict[str, list[Round]] = {}

    def median(self, name: str, value: Callable[[Round], float | None]) -> float:
        """The median over the rounds of a contestant; NaN where it has none."""
        found = [number for number in map(value, self.rounds.get(name, ())) if number is not None]
        return statistics.median(found) if found else math.nan

    def rate(self, name: str) -> float:
        return self.median(name, lambda one: one.rate)

    def limit(self) -> tuple[str, float]:
        """Who shows what could be had at most, and its rate: the driver (the better way), the SDK, or HTTP alone.

        NaN where nobody does.
        """
        for names in ((DRIVER, DRIVER_COALESCING), (SDK,), (NOOP,)):
            if limits := [(self.rate(name), name) for name in names if name in self.rounds]:
                rate, name = max(limits)
                return name, rate
        return "", math.nan


class Transfer(msgspec.Struct, kw_only=True):
    """One large object up or down once: ``seconds``, and how much more memory the server took meanwhile."""

    contestant: str
    direction: str
    mib: int
    seconds: float
    growth_mib: float | None = None
    server_cpu_seconds: float | None = None

    @property
    def rate(self) -> float:
        """MiB a second."""
        return self.mib / self.seconds


class Footprint(msgspec.Struct, kw_only=True):
    """A deployment alone on the machine: seconds from each start to its first answer, and its memory in MiB."""

    deployment: str
    start_seconds: list[float]
    idle_mib: float
    loaded_mib: float
    idle_cores: float
    processes: list[tuple[str, float]]


class FirstLoad(msgspec.Struct, kw_only=True):
    """The UI in a browser that has not seen it: what came over the wire, and when its table was there."""

    contestant: str
    page: str
    requests: int
    transferred_bytes: int
    seconds: list[float]


class Results(msgspec.Struct, kw_only=True):
    """All of a run.

    ``sizes`` compares ours on little and on much data (SMALL, LARGE). ``failures`` are what makes the benchmark fail:
    bad answers, lost rows, wrong answers of ours.
    """

    machine: dict[str, str]
    options: dict[str, str]
    cells: list[Cell] = []
    transfers: list[Transfer] = []
    footprints: list[Footprint] = []
    first_loads: list[FirstLoad] = []
    sizes: list[Cell] = []
    failures: list[str] = []

    def write(self, path: Path) -> None:
        """Replaces the file at once, so that an interrupted benchmark leaves what it found."""
        new = path.with_suffix(".new")
        new.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1))
        new.replace(path)

    def cell(self, scenario: str, connections: int) -> Cell | None:
        return next((one for one in self.cells if (one.scenario, one.connections) == (scenario, connections)), None)


def read(paths: Iterable[Path]) -> Results:
    """The results of one file, or of several put together, where later ones replace what earlier ones have too."""
    parts: Sequence[Results] = [msgspec.json.decode(path.read_bytes(), type=Results) for path in paths]
    cells = {(cell.scenario, cell.connections): cell for part in parts for cell in part.cells}
    return Results(
        machine=_said([part.machine for part in parts]),
        options=_said([part.options for part in parts]),
        cells=list(cells.values()),
        transfers=_last([part.transfers for part in parts]),
        footprints=_last([part.footprints for part in parts]),
        first_loads=_last([part.first_loads for part in parts]),
        sizes=_last([part.sizes for part in parts]),
        failures=[failure for part in parts for failure in part.failures],
    )


def _last(found: Sequence[list[T]]) -> list[T]:
    return next((one for one in reversed(found) if one), [])


def _said(descriptions: Sequence[dict[str, str]]) -> dict[str, str]:
    """One description; where the files differ, what each says, in their order."""
    names = dict.fromkeys(name for one in descriptions for name in one)
    return {name: ", then ".join(dict.fromkeys(one[name] for one in descriptions if name in one)) for name in names}
