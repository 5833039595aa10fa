"""What a copy tells while it runs: a bar on a terminal, lines elsewhere. Always on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import click

_SECONDS_BETWEEN_LINES = 5.0


class Step(Protocol):
    """A step that is being told about."""

    def advance(self, count: int, detail: str = "") -> None:
        """``count`` more are done; ``detail`` says where."""
        ...


class Progress(Protocol):
    """Where a copy tells how it gets on."""

    def say(self, line: str) -> None: ...

    @contextmanager
    def step(self, title: str, unit: str, total: int | None) -> Iterator[Step]:
        """A step of ``total`` units, None where their number is not known."""
        ...


class Lines:
    """One line at each step's beginning and end, and every few seconds between."""

    def say(self, line: str) -> None:
        click.echo(line, err=True)

    @contextmanager
    def step(self, title: str, unit: str, total: int | None) -> Iterator[Step]:
        step = _LineStep(title, unit, total)
        yield step
        step.tell("done")


class _LineStep:
    def __init__(self, title: str, unit: str, total: int | None) -> None:
        self._title = title
        self._unit = unit
        self._total = total
        self._count = 0
        self._told = time.monotonic()

    def advance(self, count: int, detail: str = "") -> None:
        self._count += count
        if time.monotonic() - self._told >= _SECONDS_BETWEEN_LINES:
            self.tell(detail)

    def tell(self, detail: str) -> None:
        self._told = time.monotonic()
        of = "" if self._total is None else f" of {self._total}"
        click.echo(f"{self._title}: {self._count}{of} {self._unit}" + (f", {detail}" if detail else ""), err=True)


class Bars:
    """rich's bars, one for each step."""

    def say(self, line: str) -> None:
        click.echo(line, err=True)

    @contextmanager
    def step(self, title: str, unit: str, total: int | None) -> Iterator[Step]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        columns = (
            TextColumn(title, markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit, markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
        )
        with RichProgress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(title, total=total, detail="")

            class _BarStep:
                def advance(self, count: int, detail: str = "") -> None:
                    bar.update(task, advance=count, detail=detail)

            yield _BarStep()
            bar.update(task, detail="")


def progress_for_standard_error() -> Progress:
    """Bars on a terminal, lines elsewhere."""
    return Bars() if sys.stderr.isatty() else Lines()
