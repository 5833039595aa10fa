"""Clients that write without a pause, and remember what they were promised."""

from __future__ import annotations

import http.client
import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from durability.running import API, call, eventually, rows
from support.ours import TrackingServer
from support.processes import LOCALHOST

Item = tuple[Hashable, ...]
"""A row that a request asks for, named by its table; metrics, params and tags follow as they are stored."""

MODEL = "model"


@dataclass(frozen=True)
class Refusal:
    """A 503: after how long, and when it asks to come back."""

    seconds: float
    retry_after: str | None


@dataclass
class Journal:
    """What was asked for: ``acknowledged`` is promised to be stored, ``unknown`` may be or not."""

    acknowledged: list[Item] = field(default_factory=list)
    unknown: list[Item] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)


class Writer(threading.Thread):
    """One client on one connection, which it opens anew when it breaks."""

    def __init__(self, server: TrackingServer, number: int, experiment: str, runs: Sequence[str]) -> None:
        super().__init__(daemon=True)
        self.journal = Journal()
        self.stopping = threading.Event()
        self._server = server
        self._number = number
        self._experiment = experiment
        self._runs = runs
        self._random = random.Random(number)
        self._connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        for count in itertools.count():
            if self.stopping.is_set():
                break
            self._send(*self._next(f"{self._number}-{count}", count))
        if self._connection is not None:
            self._connection.close()

    def _next(self, name: str, count: int) -> tuple[str, object, list[Item]]:
        """An operation, its body, and the rows it asks for, no two of which are the same."""
        run = self._random.choice(self._runs)
        match count % 6:
            case 0 | 1:
                metric = self._metric(count)
                return "runs/log-metric", {"run_id": run, **metric}, [_metric_item(run, metric)]
            case 2:
                metrics = [self._metric(count * 100 + index) for index in range(10)]
                pairs = [{"key": f"{name}-{index}", "value": f"value {index}"} for index in range(3)]
                items: list[Item] = [_metric_item(run, metric) for metric in metrics]
                items += [(table, run, *pair.values()) for table in ("params", "tags") for pair in pairs]
                return "runs/log-batch", {"run_id": run, "metrics": metrics, "params": pairs, "tags": pairs}, items
            case 3:
                table = self._random.choice(("params", "tags"))
                operation = "runs/log-parameter" if table == "params" else "runs/set-tag"
                return operation, {"run_id": run, "key": name, "value": name}, [(table, run, name, name)]
            case 4:
                body = {"experiment_id": self._experiment, "run_name": name, "start_time": 1}
                return "runs/create", body, [("runs", name)]
            case _:
                source = f"s3://bucket/{name}"
                return "model-versions/create", {"name": MODEL, "source": source}, [("versions", source)]

    def _metric(self, step: int) -> dict[str, Hashable]:
        # Few keys and steps in no order, so that latest_metrics is fought for.
        key = f"m{self._random.randrange(5)}"
        return {"key": key, "value": self._random.random(), "timestamp": self._number, "step": step ^ 0b1011}

    def _send(self, operation: str, body: object, items: list[Item]) -> None:
        began = time.monotonic()
        if self._connection is None:
            self._connection = http.client.HTTPConnection(LOCALHOST, self._server.port, timeout=60)
        try:
            self._connection.request("POST", API + operation, json.dumps(body), {"Content-Type": "application/json"})
            response = self._connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self._connection = None
            self.journal.unknown += items
            time.sleep(0.02)
            return
        if response.status == 200:
            self.journal.acknowledged += items
        elif response.status == 503:
            self.journal.unknown += items
            self.journal.refusals.append(Refusal(time.monotonic() - began, response.getheader("retry-after")))
        else:
            self.journal.surprises.append(f"{operation}: {response.status} {answer[:300]!r}")


class Load:
    """Writers at work on a server; ``stop`` ends them and returns what they remember."""

    def __init__(self, server: TrackingServer, writers: int) -> None:
        experiment = call(server, "experiments/create", {"name": "load"})["experiment_id"]
        call(server, "registered-models/create", {"name": MODEL})
        runs = [
            call(server, "runs/create", {"experiment_id": experiment, "run_name": f"run {number}"})["run"]["info"]
            for number in range(3)
        ]
        self.first_runs = [info["run_name"] for info in runs]
        ids = [info["run_id"] for info in runs]
        self._writers = [Writer(server, number, experiment, ids) for number in range(1, writers + 1)]
        for writer in self._writers:
            writer.start()

    @property
    def acknowledged(self) -> int:
        """The number of rows acknowledged so far."""
        return sum(len(writer.journal.acknowledged) for writer in self._writers)

    def go_on(self, count: int = 300) -> None:
        """Returns when ``count`` more rows were acknowledged, from every writer some."""
        before = [len(writer.journal.acknowledged) for writer in self._writers]
        wanted = count // len(self._writers)
        eventually(
            lambda: all(
                len(writer.journal.acknowledged) >= start + wanted
                for writer, start in zip(self._writers, before, strict=True)
            )
        )

    def stop(self) -> Journal:
        """Ends the writers, each after its current request."""
        for writer in self._writers:
            writer.stopping.set()
        for writer in self._writers:
            writer.join(90)
            assert not writer.is_alive()
        whole = Journal([("runs", name) for name in self.first_runs])
        for writer in self._writers:
            whole.acknowledged += writer.journal.acknowledged
            whole.unknown += writer.journal.unknown
            whole.refusals += writer.journal.refusals
            whole.surprises += writer.journal.surprises
        return whole


@contextmanager
def load(server: TrackingServer, writers: int = 4) -> Iterator[Load]:
    """Writers at work; they end with the block at the latest."""
    running = Load(server, writers)
    try:
        yield running
    finally:
        running.stop()


def check_stored(uri: str, journal: Journal, *, unknown_may_be_stored: bool = True) -> None:
    """Asserts that the rows are the promised ones, each once, and that what follows from them is so."""
    assert journal.surprises == []
    stored = _stored(uri)
    assert _repeated(stored) == []
    acknowledged, found = set(journal.acknowledged), set(stored)
    assert acknowledged - found == set()
    allowed = acknowledged | set(journal.unknown) if unknown_may_be_stored else acknowledged
    assert found - allowed == set()
    check_latest_metrics(uri)
    versions = sorted(version for (version,) in rows(uri, "SELECT version FROM model_versions"))
    assert versions == list(range(1, len(versions) + 1))


def check_latest_metrics(uri: str) -> None:
    """Asserts that latest_metrics holds of each metric the point with the greatest step, time and value."""
    latest: dict[tuple[str, str], tuple[int, int, float]] = {}
    for run, key, *point in rows(uri, "SELECT run_uuid, key, step, timestamp, value FROM metrics"):
        latest[run, key] = max(latest.get((run, key), (-1, -1, -1.0)), (point[0], point[1], point[2]))
    found = rows(uri, "SELECT run_uuid, key, step, timestamp, value FROM latest_metrics")
    assert {(run, key): tuple(point) for run, key, *point in found} == latest


def _stored(uri: str) -> list[Item]:
    statements = {
        "metrics": "SELECT run_uuid, key, value, timestamp, step FROM metrics",
        "params": "SELECT run_uuid, key, value FROM params",
        "tags": "SELECT run_uuid, key, value FROM tags WHERE key <> 'mlflow.runName'",
        "runs": "SELECT name FROM runs",
        "versions": "SELECT source FROM model_versions",
    }
    return [(table, *row) for table, statement in statements.items() for row in rows(uri, statement)]


def _metric_item(run: str, metric: dict[str, Hashable]) -> Item:
    return "metrics", run, *metric.values()


def _repeated(items: Iterable[Item]) -> list[Item]:
    return [item for item, count in Counter(items).items() if count > 1]
