"""Tells how far a collection is: a bar on a terminal, lines otherwise. Always on standard error."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tracking_server.maintenance.gc.summary import Summary

_LINE_SECONDS = 5.0


class Reporter(Protocol):
    """What a collection tells while it runs."""

    def begin(self, what: str, total: int) -> None:
        """``total`` of ``what`` (runs, logged models, …) come next."""
        ...

    def advance(self, count: int, summary: Summary) -> None:
        """``count`` more of them are done."""
        ...

    def note(self, text: str) -> None:
        """Something that people should read."""
        ...


class Silent:
    """Tells nothing."""

    def begin(self, what: str, total: int) -> None:
        return

    def advance(self, count: int, summary: Summary) -> None:
        return

    def note(self, text: str) -> None:
        return


class Lines:
    """A line at each beginning, and every few seconds."""

    def __init__(self) -> None:
        self._what = ""
        self._total = self._done = 0
        self._told_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def begin(self, what: str, total: int) -> None:
        self._what, self._total, self._done = what, total, 0
        self._told_at = time.monotonic()
        if total:
            self.note(f"{what}: {total} to collect")

    def advance(self, count: int, summary: Summary) -> None:
        self._done += count
        now = time.monotonic()
        if now - self._told_at >= _LINE_SECONDS or (self._done >= self._total and count):
            self._told_at = now
            self.note(
                f"{self._what}: {self._done} of {self._total}; so far {summary.rows} rows and {summary.objects}"
                f" artifacts ({summary.bytes} bytes)"
            )

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class Bar:
    """A progress bar of rich's."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[so_far]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task("", total=None, visible=False, so_far="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, what: str, total: int) -> None:
        if total:
            self._task = self._progress.add_task(what, total=total, so_far="")

    def advance(self, count: int, summary: Summary) -> None:
        self._progress.update(self._task, advance=count, so_far=f"{summary.rows} rows, {summary.objects} artifacts")

    def note(self, text: str) -> None:
        self._progress.console.print(text, markup=False, highlight=False)


def progress_on_stderr() -> Bar | Lines:
    """A bar where standard error is a terminal, else lines; to be used as a context manager."""
    return Bar() if sys.stderr.isatty() else Lines()
