"""What is asked of the servers."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlencode

from bench import seed
from bench.lua import NUMBER, RUN, Requests, RunIds, Uploads
from tracking_server.search.page_token import create_page_token

Kind = Literal["write", "read", "artifact", "mixed"]

_API = "/api/2.0/mlflow/"
_ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts/bench/"
ARTIFACT_SIZE = 2**20


@dataclass(frozen=True, slots=True)
class Stored:
    """How the rows of acknowledged writes are counted: ``per_answer`` of them by ``query``.

    ``query`` may name %(number)s, the number before the round's first, and %(runs)s, the runs' ids.
    ``at_most`` is how many the round's requests can make.
    """

    query: str
    per_answer: int
    at_most: int | None = None


@dataclass(frozen=True, slots=True)
class DriverLoad:
    """The rows of one request, for the driver alone: how many, and of which table."""

    table: Literal["metrics", "params"]
    rows: int


@dataclass(frozen=True, slots=True)
class Part:
    """What some clients do all the time; ``name`` is empty where they are the scenario's only ones."""

    requests: Requests | Uploads
    name: str = ""
    connections: int | None = None
    stored: Stored | None = None

    def run_ids(self, clients: int = 1_000_000) -> list[str]:
        """The runs whose ids the requests of so many clients name in turns."""
        runs = self.requests.runs if isinstance(self.requests, Requests) else None
        return runs.read(clients) if runs is not None else []

    def program(self, number: int, clients: int) -> tuple[str, int]:
        """Lua whose numbers come after ``number``, and for how many connections: ``clients`` unless the part says."""
        connections = self.connections or clients
        return self.requests.program(number, connections), connections


@dataclass(frozen=True, slots=True)
class Scenario:
    """Clients at work, ``connections`` of them unless a part says otherwise.

    ``clean`` are statements that undo what writes leave, run before each round. ``compared``: the servers' answers to
    the first request of each part must be equal as JSON values.
    """

    name: str
    kind: Kind
    parts: Sequence[Part]
    connections: Sequence[int]
    driver: DriverLoad | None = None
    clean: Sequence[str] = ()
    compared: bool = False

    def cell_name(self, part: Part) -> str:
        return f"{self.name}: {part.name}" if part.name else self.name


_NEW_METRICS = "SELECT count(*) FROM metrics WHERE run_uuid = ANY(%(runs)s) AND step > %(number)s"
_NEW_PARAMS = "SELECT count(*) FROM params WHERE key >= 'batch_' AND key < 'batch`'"
_FORGET_PARAMS = "DELETE FROM params WHERE key >= 'batch_' AND key < 'batch`'"
_NEW_RUNS = "SELECT count(*) FROM runs WHERE experiment_id = 3"
_FORGET_RUNS = (
    "DELETE FROM tags USING runs WHERE tags.run_uuid = runs.run_uuid AND runs.experiment_id = 3",
    "DELETE FROM runs WHERE experiment_id = 3",
)
assert seed.CREATED == 3


def scenarios(runs: Mapping[str, RunIds]) -> list[Scenario]:
    """All of them, those that read first. ``runs`` holds the ids of each kind of run by the names of seed.RunId."""
    return [*_reads(runs), *_artifacts(), *_writes(runs), *_mixed(runs)]


def _reads(runs: Mapping[str, RunIds]) -> list[Scenario]:
    # What a UI shows on its first page of runs: the newest, whole.
    newest = {"experiment_ids": [str(seed.SEARCHED)], "max_results": 100}
    filtered = newest | {
        "filter": "metrics.metric_1 > 0.5 AND params.param_2 = 'v3'",
        "order_by": ["metrics.metric_3 DESC"],
    }
    page_of_ten = newest | {"max_results": 10, "order_by": ["attributes.start_time DESC"]}
    tenth_page = newest | {"page_token": create_page_token(900)}
    models = {"max_results": "100", "filter": "name LIKE 'model-01%'", "order_by": "last_updated_timestamp DESC"}
    return [
        _read("get run", _get("runs/get", run_id=RUN, runs=runs["SEARCHED"]), 1, 8, 64),
        _read("search 100 runs", _post("runs/search", newest), 1, 8, 64),
        _read("search by metric and param", _post("runs/search", filtered), 8),
        _read("search 10 runs", _post("runs/search", page_of_ten), 8, 64),
        _read("search the tenth page of 100 runs", _post("runs/search", tenth_page), 8),
        _read(
            "search experiments",
            _post("experiments/search", {"max_results": 100, "order_by": ["last_update_time DESC"]}),
            8,
        ),
        _read(
            "metric history of 25,000",
            _get("metrics/get-history", run_id=RUN, metric_key="loss", runs=runs["HISTORY"]),
            8,
        ),
        _read("bulk-interval on 10 runs", _interval(runs["CURVE"]), 8),
        _read("bulk-interval on the longest run", _interval(runs["LONG"]), 8),
        _read("registry search", Requests("GET", f"{_API}registered-models/search?{urlencode(models)}"), 8, 64),
        _read(
            "search model versions",
            Requests("GET", f"{_API}model-versions/search?{urlencode({'filter': _VERSIONS, 'max_results': 100})}"),
            8,
        ),
    ]


_VERSIONS = "name = 'model-00100'"


def _read(name: str, requests: Requests, *connections: int) -> Scenario:
    return Scenario(name, "read", (Part(requests),), connections, compared=True)


def _artifacts() -> list[Scenario]:
    upload = Uploads(_ARTIFACTS, ARTIFACT_SIZE)
    download = Requests("GET", f"{_ARTIFACTS}1")
    return [
        Scenario("1 MiB artifact up", "artifact", (Part(upload),), (8, 64)),
        Scenario("1 MiB artifact down", "artifact", (Part(download),), (8, 64)),
    ]


def _writes(runs: Mapping[str, RunIds]) -> list[Scenario]:
    training, fresh = runs["TRAINING"], runs["FRESH"]
    params = {
        "run_id": RUN,
        "params": [{"key": f"batch_{number}", "value": f"value {number}"} for number in range(100)],
    }
    metric = {"run_uuid": RUN, "run_id": RUN, "key": "metric_1", "value": "#", "timestamp": "#", "step": "#"}
    created = {
        "experiment_id": str(seed.CREATED),
        "user_id": "bench",
        "start_time": "#",
        "run_name": f"run-{NUMBER}",
        "tags": [
            {"key": "mlflow.user", "value": "bench"},
            {"key": "mlflow.source.name", "value": "train.py"},
            {"key": "mlflow.source.type", "value": "LOCAL"},
            {"key": "mlflow.runName", "value": f"run-{NUMBER}"},
        ],
    }
    updated = {"run_uuid": RUN, "run_id": RUN, "status": "RUNNING", "end_time": "#"}
    return [
        Scenario(
            "log-metric",
            "write",
            (Part(_post("runs/log-metric", metric, runs=training), stored=Stored(_NEW_METRICS, 1)),),
            (1, 8, 64, 256),
            DriverLoad("metrics", 1),
        ),
        *(
            Scenario(
                f"log-batch of {count:,}",
                "write",
                (Part(log_batch(training, count), stored=Stored(_NEW_METRICS, count)),),
                connections,
                DriverLoad("metrics", count),
            )
            for count, connections in ((10, (8, 64)), (100, (1, 8, 64, 256)), (1000, (8,)))
        ),
        Scenario(
            "log-batch of 100 params",
            "write",
            (Part(_post("runs/log-batch", params, runs=fresh), stored=Stored(_NEW_PARAMS, 100, 100 * fresh.count)),),
            (8, 64),
            DriverLoad("params", 100),
            (_FORGET_PARAMS,),
        ),
        Scenario(
            "create run",
            "write",
            (Part(_post("runs/create", created), stored=Stored(_NEW_RUNS, 1)),),
            (8, 64),
            clean=_FORGET_RUNS,
        ),
        Scenario("update run", "write", (Part(_post("runs/update", updated, runs=training)),), (8, 64)),
    ]


def _mixed(runs: Mapping[str, RunIds]) -> list[Scenario]:
    training, soak = runs["TRAINING"], runs["SOAK"]
    newest = {"experiment_ids": [str(seed.SEARCHED)], "max_results": 100}
    soak_search = {
        "experiment_ids": [str(seed.SOAK)],
        "max_results": 50,
        "order_by": ["attributes.start_time DESC"],
    }
    trainers, same = replace(soak, per_client=1), replace(training, count=1)
    return [
        Scenario(
            "mixed",
            "mixed",
            (
                Part(
                    log_batch(replace(training, per_client=1), 10),
                    "32 trainers log batches of 10",
                    32,
                    Stored(_NEW_METRICS, 10),
                ),
                Part(_post("runs/search", newest), "4 users search 100 runs", 4),
            ),
            (36,),
        ),
        Scenario(
            "one run, random order of keys",
            "mixed",
            (
                Part(
                    log_batch(same, 20, shuffled=64),
                    stored=Stored(_NEW_METRICS, 20),
                ),
            ),
            (32,),
        ),
        # Its pace, 10 s between a trainer's batches and 2 s between a reader's requests, twenty times as quick.
        Scenario(
            "mlflow-rs's load",
            "mixed",
            (
                Part(log_batch(trainers, 3, delay_ms=500), "8 trainers log batches of 3", 8, Stored(_NEW_METRICS, 3)),
                Part(_post("runs/search", soak_search, delay_ms=100), "2 readers search 50 runs", 2),
                Part(
                    _get("metrics/get-history", run_id=RUN, metric_key="metric_1", runs=soak, delay_ms=100),
                    "2 readers get a history",
                    2,
                ),
                Part(
                    _post("experiments/search", {"max_results": 100, "order_by": ["name ASC"]}, delay_ms=50),
                    "2 readers search experiments",
                    2,
                ),
            ),
            (14,),
        ),
    ]


def log_batch(runs: RunIds, count: int, *, shuffled: int = 0, delay_ms: int = 0) -> Requests:
    """Batches of ``count`` metrics at one step; with ``shuffled`` in so many random orders of the keys."""
    metrics = [
        {"key": f"metric_{number}", "value": "#", "timestamp": "#", "step": "#"} for number in range(1, count + 1)
    ]
    orders = [metrics]
    generator = random.Random(1)  # noqa: S311 - the same orders each time
    if shuffled:
        orders = [generator.sample(metrics, len(metrics)) for _ in range(shuffled)]
    bodies = tuple(_body({"run_id": RUN, "metrics": order}) for order in orders)
    return Requests("POST", f"{_API}runs/log-batch", bodies, runs, delay_ms)


def _interval(runs: RunIds) -> Requests:
    # The UI asks for 320 points of each run that it draws.
    query = urlencode([("run_ids", run) for run in runs.read()] + [("metric_key", "loss"), ("max_results", "320")])
    return Requests("GET", f"/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?{query}")


def _get(path: str, *, runs: RunIds, delay_ms: int = 0, **query: str) -> Requests:
    return Requests("GET", f"{_API}{path}?{urlencode(query, safe='@')}", ("",), runs, delay_ms)


def _post(path: str, body: object, *, runs: RunIds | None = None, delay_ms: int = 0) -> Requests:
    return Requests("POST", f"{_API}{path}", (_body(body),), runs, delay_ms)


def _body(value: object) -> str:
    """JSON as MLflow's client writes it; its "#" are numbers that grow with each request."""
    text = json.dumps(value)
    for field, number in (("value", f"0.{NUMBER}"), ("step", NUMBER)):
        text = text.replace(f'"{field}": "#"', f'"{field}": {number}')
    for field in ("timestamp", "start_time", "end_time"):
        text = text.replace(f'"{field}": "#"', f'"{field}": 1800{NUMBER}')
    return text
