"""The benchmark's options."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.results import DRIVER, DRIVER_COALESCING, NOOP, OURS, SDK, STOCK, STOCK_DEFAULT
from support.ours import Value

_CONTESTANTS = (STOCK, STOCK_DEFAULT, OURS, DRIVER, DRIVER_COALESCING, SDK, NOOP)
_ROWS, _LARGE = 8_000_000, 100_000_000
_NAMES = {name.replace(" ", "-"): name for name in _CONTESTANTS}


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for. ``only`` and ``connections`` choose among the scenarios; empty means all."""

    seconds: int
    rounds: int
    runs: int
    rows: int
    only: tuple[str, ...]
    connections: tuple[int, ...]
    contestants: tuple[str, ...]
    workers: int
    stock_workers: int
    object_mib: int
    large: bool
    settings: dict[str, dict[str, Value]]
    json: Path | None

    def wants(self, name: str, connections: int | None = None) -> bool:
        """Whether ``only`` lets a scenario or another part of the benchmark be measured, at so many connections."""
        if connections is not None and self.connections and connections not in self.connections:
            return False
        return not self.only or any(_fits(text, name, connections) for text in self.only)

    def described(self) -> dict[str, str]:
        """For the results: what changes figures."""
        return {
            "rounds": f"{self.rounds} of {self.seconds} s",
            "runs": f"{self.runs:,}",
            "metric rows": f"{self.rows:,}",
            "stock": f"mlflow server with uvloop, {self.stock_workers} workers, without jobs",
            "ours": f"{self.workers} worker{'s' * (self.workers != 1)}"
            + "".join(f", {section} {values}" for section, values in self.settings.items()),
        }


def parse(arguments: Sequence[str], description: str) -> Options:
    """Ends the program, as argparse does, for what it does not understand."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=description)
    parser.add_argument("--seconds", type=int, default=3, help="length of one round (default 3)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each contestant, in turns (default 3)")
    parser.add_argument("--runs", type=int, default=20_000, help="runs in the searched experiment (default 20000)")
    parser.add_argument("--rows", type=int, help=f"metric rows, about (default {_ROWS:,}; with --large {_LARGE:,})")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="TEXT[@CONNECTIONS]",
        help="scenarios whose name contains this (log-batch), or of those one size (log-batch@64); also: footprint,"
        " 1 GiB, first load. May be given again",
    )
    parser.add_argument("--connections", type=int, action="append", default=[], help="only at so many; may be repeated")
    parser.add_argument(
        "--contestants", default=",".join(_NAMES), help=f"who takes part, of {', '.join(_NAMES)} (default all)"
    )
    parser.add_argument("--workers", type=int, default=1, help="workers of ours (default 1)")
    parser.add_argument("--stock-workers", type=int, default=4, help="workers of stock with uvloop (default 4)")
    parser.add_argument("--object-mib", type=int, default=1024, help="size of the large artifact (default 1024)")
    parser.add_argument("--large", action="store_true", help="ours on 1 M and on 100 M metric rows instead")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.NAME=JSON",
        help="a setting of ours, such as logging.access=false",
    )
    parser.add_argument("--json", type=Path, help="file for all results; python -m bench.report makes the report of it")
    found = parser.parse_args(arguments)
    try:
        contestants = tuple(_NAMES[name] for name in found.contestants.split(","))
        settings = _settings(found.set)
    except (KeyError, ValueError) as error:
        parser.error(f"not understood: {error}")
    return Options(
        seconds=found.seconds,
        rounds=found.rounds,
        runs=found.runs,
        rows=found.rows or (_LARGE if found.large else _ROWS),
        only=tuple(found.only),
        connections=tuple(found.connections),
        contestants=contestants,
        workers=found.workers,
        stock_workers=found.stock_workers,
        object_mib=found.object_mib,
        large=found.large,
        settings=settings,
        json=found.json,
    )


def _fits(text: str, name: str, connections: int | None) -> bool:
    wanted, _, at = text.partition("@")
    return wanted in name and (connections is None or at in ("", str(connections)))


def _settings(given: Sequence[str]) -> dict[str, dict[str, Value]]:
    sections: dict[str, dict[str, Value]] = {}
    for text in given:
        name, _, value = text.partition("=")
        section, _, key = name.partition(".")
        sections.setdefault(section, {})[key] = json.loads(value)
    return sections
