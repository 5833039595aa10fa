"""Counts of what was served, by route and status class, and of what was forwarded, by reason.

Counting a request is a few additions to dictionaries, an eighth of what a metrics library's histogram costs on the
hot path. Workers write their counts to a shared folder, from which any of them answers for all.
"""

from __future__ import annotations

import contextlib
import secrets
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the latency histogram, in seconds."""

_FILES = "metrics-*.json"


class Counts(msgspec.Struct):
    """What was counted. Keys: ``answered`` route → status class, ``forwarded`` route → reason.

    ``latency`` has one number per bucket and one for what took longer; ``seconds`` is their sum.
    """

    answered: dict[str, dict[str, int]] = {}
    forwarded: dict[str, dict[str, int]] = {}
    latency: dict[str, list[int]] = {}
    seconds: dict[str, float] = {}


class RequestMetrics:
    """This process's counts; ``folder`` is shared by the workers (None: there are no others)."""

    def __init__(self, folder: Path | None = None) -> None:
        self._answered: Counter[tuple[str, int]] = Counter()
        self._forwarded: Counter[tuple[str, str]] = Counter()
        self._latency: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}
        # A new worker may get the number of a dead one, whose counts must stay.
        self._file = None if folder is None else folder / f"metrics-{secrets.token_hex(8)}.json"
        self._written = 0

    def record(self, label: str, status: int, seconds: float) -> None:
        """One request to the route ``label`` was answered with ``status`` after ``seconds``."""
        self._answered[label, status // 100] += 1
        buckets = self._latency.get(label)
        if buckets is None:
            buckets = self._latency[label] = [0] * (len(BUCKETS) + 1)
            self._seconds[label] = 0.0
        buckets[bisect_left(BUCKETS, seconds)] += 1
        self._seconds[label] += seconds

    def record_forward(self, label: str, reason: str) -> None:
        """One request went to stock MLflow; ``reason`` is a short fixed word."""
        self._forwarded[label, reason] += 1

    def write(self) -> None:
        """Puts this process's counts where the other workers find them. Raises OSError."""
        total = self._answered.total()
        if self._file is None or total == self._written:
            return
        unfinished = self._file.with_suffix(".new")
        unfinished.write_bytes(msgspec.json.encode(self._own()))
        unfinished.replace(self._file)
        self._written = total

    def of_all_workers(self) -> Counts:
        """The sum of all workers' counts, dead ones' included; the others' are as old as their last ``write``."""
        if self._file is None:
            return self._own()
        others = [path for path in self._file.parent.glob(_FILES) if path != self._file]
        return _sum([self._own(), *_read(others)])

    def _own(self) -> Counts:
        counts = Counts(latency=self._latency, seconds=self._seconds)
        for (label, status_class), number in self._answered.items():
            counts.answered.setdefault(label, {})[f"{status_class}xx"] = number
        for (label, reason), number in self._forwarded.items():
            counts.forwarded.setdefault(label, {})[reason] = number
        return counts


def clear(folder: Path) -> None:
    """Removes the counts of an earlier run."""
    for path in folder.glob(_FILES):
        path.unlink(missing_ok=True)


def exposition(counts: Counts) -> str:
    """The counts in Prometheus's text format, version 0.0.4."""
    lines = [
        "# HELP tracking_server_requests_total Requests answered.",
        "# TYPE tracking_server_requests_total counter",
    ]
    for route, classes in sorted(counts.answered.items()):
        for status, number in sorted(classes.items()):
            lines.append(f'tracking_server_requests_total{{route="{route}",status="{status}"}} {number}')
    lines += [
        "# HELP tracking_server_forwarded_total Requests that stock MLflow answered, by the reason why.",
        "# TYPE tracking_server_forwarded_total counter",
    ]
    for route, reasons in sorted(counts.forwarded.items()):
        for reason, number in sorted(reasons.items()):
            lines.append(f'tracking_server_forwarded_total{{route="{route}",reason="{reason}"}} {number}')
    lines += [
        "# HELP tracking_server_request_seconds Time from a request's headers to the end of its answer.",
        "# TYPE tracking_server_request_seconds histogram",
    ]
    for route, buckets in sorted(counts.latency.items()):
        below = 0
        for bound, number in zip((*map(str, BUCKETS), "+Inf"), buckets, strict=True):
            below += number
            lines.append(f'tracking_server_request_seconds_bucket{{route="{route}",le="{bound}"}} {below}')
        lines.append(f'tracking_server_request_seconds_sum{{route="{route}"}} {counts.seconds[route]}')
        lines.append(f'tracking_server_request_seconds_count{{route="{route}"}} {below}')
    return "\n".join(lines) + "\n"


def _read(paths: Iterable[Path]) -> list[Counts]:
    found = []
    for path in paths:
        # Another worker may be replacing it at this moment.
        with contextlib.suppress(OSError):
            found.append(msgspec.json.decode(path.read_bytes(), type=Counts))
    return found


def _sum(each: Iterable[Counts]) -> Counts:
    total = Counts()
    for counts in each:
        for target, source in ((total.answered, counts.answered), (total.forwarded, counts.forwarded)):
            for route, numbers in source.items():
                target[route] = dict(Counter(target.get(route, {})) + Counter(numbers))
        for route, buckets in counts.latency.items():
            before = total.latency.get(route, [0] * len(buckets))
            total.latency[route] = [one + other for one, other in zip(before, buckets, strict=True)]
            total.seconds[route] = total.seconds.get(route, 0.0) + counts.seconds[route]
    return total
