"""A server of each kind that every test of this folder throws things at, and that must stand all of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from robustness.wire import Answer, Wire
from support.databases import Databases
from support.fixtures import DIALECTS
from support.ours import TrackingServer

MAX_BODY = 4 * 1024 * 1024
SECRET = "not to be read through the server"
S3_SECRET = "s3-secret-of-this-test"
# For a machine that is busy with other tests; what is stuck takes for ever.
SLOWEST = 15.0

# Stock raises these on purpose, with a 5xx (see DEVIATIONS in differential/harness/deviations.py).
DELIBERATE = ("INVALID_STATE", "NOT_IMPLEMENTED", "FEATURE_DISABLED")


@dataclass(frozen=True)
class Target:
    """A running server, what exists on it, and what lies beside its artifacts."""

    server: TrackingServer
    artifacts: Path
    secret: Path
    secrets: list[str]
    """What must never stand in a log or an answer."""
    values: dict[str, object]
    """A value for each field of the API's messages by which something that exists is found."""

    def wire(self) -> Wire:
        return Wire(self.server.port)

    def check(self, answer: Answer, about: object = "") -> Answer:
        """Asserts that an answer is one that a server in good health gives to anything; returns it."""
        shown = f"{str(about)[:300]}: {answer.status} {answer.body[:500]!r}"
        assert answer.seconds < SLOWEST, shown
        assert "x-request-id" in answer.headers, shown
        if answer.status < 400:
            return answer
        if answer.body:
            assert not any(secret.encode() in answer.body for secret in self.secrets), shown
            if answer.headers["content-type"].startswith("text/html"):
                # Of files of the UI, as stock's.
                assert answer.status == 404, shown
                return answer
            error = answer.value()
            if isinstance(error.get("detail"), str):
                # The shape of stock's FastAPI routes, which the artifact proxy has there.
                assert answer.status < 500, shown
                return answer
            assert isinstance(error["message"], str), shown
            assert error["error_code"], shown
            off = answer.status == 503 and "turned off" in error["message"]
            assert answer.status < 500 or off or error["error_code"] in DELIBERATE, shown
        else:
            assert answer.status < 500, shown
        return answer


def _pids(server: TrackingServer) -> set[int]:
    return {each.pid for each in psutil.Process(server.pid).children() if "tracking_server.worker" in each.cmdline()}


def make_server(folder: Path, uri: str, *, stock: bool, environment: Mapping[str, str] | None = None) -> TrackingServer:
    """A server with two workers and small limits."""
    return TrackingServer(
        folder / "server",
        database_uri=uri,
        artifacts_destination=str(folder / "beside" / "artifacts"),
        workers=2,
        eager=stock,
        settings={
            "stock": {"enabled": stock},
            "artifacts": {"s3_access_key_id": "key", "s3_secret_access_key": S3_SECRET},
            "limits": {"max_json_body": MAX_BODY, "body_timeout": 1, "header_timeout": 1},
            "logging": {"format": "json"},
        },
        environment=environment,
    )


def populate(server: TrackingServer, folder: Path, uri: str) -> Target:
    """Creates one of each thing that the API knows."""
    artifacts = folder / "beside" / "artifacts"
    artifacts.mkdir(parents=True, exist_ok=True)
    secret = folder / "beside" / "secret.txt"
    secret.write_text(SECRET)
    with Wire(server.port) as wire:

        def call(operation: str, body: object) -> dict[str, dict[str, object]]:
            answer = wire.ask("POST", f"/api/2.0/mlflow/{operation}", json.dumps(body).encode())
            assert answer.status == 200, answer.body
            found: dict[str, dict[str, object]] = answer.value()
            return found

        experiment = call("experiments/create", {"name": "robust"})["experiment_id"]
        run = call("runs/create", {"experiment_id": experiment})["run"]["info"]
        assert isinstance(run, dict)
        call("registered-models/create", {"name": "robust"})
        call("model-versions/create", {"name": "robust", "source": "s3://bucket/model"})
        model = call("logged-models", {"experiment_id": experiment, "name": "robust"})["model"]["info"]
        assert isinstance(model, dict)
    values = {
        "experiment_id": experiment,
        "experiment_ids": [experiment],
        "experiment_name": "robust",
        "run_id": run["run_id"],
        "run_uuid": run["run_id"],
        "run_ids": [run["run_id"]],
        "name": "robust",
        "version": "1",
        "model_id": model["model_id"],
        "source": "s3://bucket/model",
        "stage": "Staging",
        "stages": ["Staging"],
        "alias": "champion",
        "metric_key": "m",
        "filter": "",
        "max_results": 10,
        "order_by": [],
        "path": "",
        "page_token": "",
    }
    password = urlsplit(uri).password
    return Target(server, artifacts, secret, [S3_SECRET, SECRET, *([password] if password else [])], values)


def _stands(target: Target, pids: set[int]) -> None:
    """Asserts that the server has lost no worker and has logged no failure of its own, and that it still works."""
    server = target.server
    with target.wire() as wire:
        assert wire.ask("GET", "/health").status == 200
        body = json.dumps({"max_results": 5}).encode()
        assert wire.ask("POST", "/api/2.0/mlflow/experiments/search", body).status == 200
    assert _pids(server) == pids
    assert target.secret.read_text() == SECRET
    lines = [json.loads(line) for line in server.logs().splitlines()]
    assert [line for line in lines if "exception" in line] == []


@pytest.fixture(scope="module", params=DIALECTS)
def target(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """A server without stock MLflow, so that every answer is our own; afterwards it must be in good health."""
    folder = tmp_path_factory.mktemp("robustness")
    uri = databases.create(request.param)
    with make_server(folder, uri, stock=False) as server:
        target = populate(server, folder, uri)
        pids = _pids(server)
        yield target
        _stands(target, pids)
    databases.drop(uri)


@pytest.fixture(scope="module")
def forwarding(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server with stock MLflow behind it."""
    folder = tmp_path_factory.mktemp("forwarding")
    uri = databases.sqlite()
    with make_server(folder, uri, stock=True) as server:
        target = populate(server, folder, uri)
        pids = _pids(server)
        with target.wire() as wire:
            deadline = time.monotonic() + 200
            while wire.ask("GET", "/-/ready").value()["stock"]["state"] != "ready":
                assert time.monotonic() < deadline
                time.sleep(0.2)
        yield target
        _stands(target, pids)
