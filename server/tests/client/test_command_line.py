"""MLflow's commands against the server: experiments, runs and artifacts, projects, and serving a model."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import mlflow
import pytest
import requests
from mlflow import MlflowClient

from client import iris
from support.fixtures import Starter
from support.processes import LOCALHOST, ServerProcess, http_status, plain_environment

PROJECT = """\
name: tiny
entry_points:
  main:
    parameters:
      rate: {type: float, default: 0.1}
    command: "python train.py {rate}"
"""

TRAINING = """\
import sys
import mlflow

with mlflow.start_run():
    mlflow.log_metric("loss", 1 / float(sys.argv[1]))
    mlflow.log_text("done", "log.txt")
"""


def client_environment(server: ServerProcess) -> dict[str, str]:
    """The environment of a user's shell, in which the tests' Python is the one on the path."""
    environment = plain_environment({"MLFLOW_TRACKING_URI": server.url, "MLFLOW_DISABLE_TELEMETRY": "true"})
    return environment | {"PATH": f"{Path(sys.executable).parent}:{environment['PATH']}"}


def run_mlflow(server: ServerProcess, *arguments: str) -> str:
    """What ``mlflow`` prints; fails the test when it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "mlflow", *arguments],
        env=client_environment(server),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# Each command imports MLflow for seconds, and what lies behind the server is nothing to it.
on_one_server = pytest.mark.parametrize(
    "server", ["sqlite-disk", pytest.param("postgresql-s3", marks=pytest.mark.slow)], indirect=True
)


@pytest.mark.slow
@on_one_server
def test_experiments_runs_and_artifacts(server: ServerProcess, experiment_id: str, tmp_path: Path) -> None:
    experiment = mlflow.get_experiment(experiment_id)
    with mlflow.start_run(run_name="by hand") as run:
        mlflow.log_text("hello", "notes/a.txt")
    assert experiment.name in run_mlflow(server, "experiments", "search")
    listed = run_mlflow(server, "runs", "list", "--experiment-id", experiment_id)
    assert "by hand" in listed
    assert run.info.run_id in listed
    run_mlflow(server, "artifacts", "download", "--run-id", run.info.run_id, "--dst-path", str(tmp_path))
    assert (tmp_path / "notes" / "a.txt").read_text() == "hello"


@pytest.mark.slow
@on_one_server
def test_a_project_runs(server: ServerProcess, experiment_id: str, tmp_path: Path) -> None:
    (tmp_path / "MLproject").write_text(PROJECT)
    (tmp_path / "train.py").write_text(TRAINING)
    run_mlflow(server, "run", str(tmp_path), "--env-manager=local", "-P", "rate=0.25", "--experiment-id", experiment_id)
    (run,) = MlflowClient().search_runs([experiment_id])
    assert (run.info.status, run.data.params, run.data.metrics) == ("FINISHED", {"rate": "0.25"}, {"loss": 4.0})
    assert run.data.tags["mlflow.project.backend"] == "local"
    assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/log.txt") == "done"


class ModelServer(ServerProcess):
    """``mlflow models serve``, which fetches its model from the tracking server."""

    name = "models-serve"

    def __init__(self, folder: Path, tracking: ServerProcess, model_uri: str) -> None:
        super().__init__(folder)
        self._tracking = tracking
        self._model_uri = model_uri

    def command(self) -> Sequence[str | Path]:
        address = ("--host", LOCALHOST, "--port", str(self.port))
        options = ("--model-uri", self._model_uri, "--env-manager", "local", *address)
        return [sys.executable, "-m", "mlflow", "models", "serve", *options]

    def environment(self) -> Mapping[str, str]:
        return client_environment(self._tracking)

    def is_ready(self) -> bool:
        return http_status(self.port, "/ping") == 200


@pytest.mark.slow
def test_a_registered_model_is_served(
    server: ServerProcess, experiment_id: str, start: Starter, tmp_path: Path
) -> None:
    name = f"served {experiment_id}"
    model = iris.trained()
    with mlflow.start_run():
        mlflow.sklearn.log_model(model, name="model", registered_model_name=name, pip_requirements=iris.REQUIREMENTS)
    MlflowClient().set_registered_model_alias(name, "live", "1")
    serving = start(ModelServer(tmp_path, server, f"models:/{name}@live"))
    features, _ = iris.data()
    rows = features[::30].tolist()
    answer = requests.post(
        f"{serving.url}/invocations",
        data=json.dumps({"inputs": rows}),
        headers={"Content-Type": "application/json"},
        timeout=60,
    )
    assert answer.json() == {"predictions": model.predict(rows).tolist()}
