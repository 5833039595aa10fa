"""A file store (./mlruns) becomes a database, with its artifacts in their new place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType

from maintenance.copy.reading import read_all
from maintenance.copy.running import run_command
from support.databases import Databases
from support.processes import plain_environment

_FILL = """
import math, sys
import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
client = MlflowClient(sys.argv[1])
kept, gone = client.create_experiment("kept"), client.create_experiment("gone")
for experiment in (kept, gone):
    run = client.create_run(experiment).info.run_id
    client.log_batch(run, [Metric("m", value, 1, step) for step, value in enumerate((0.5, math.inf, -1.0))],
                     [Param("p", "ü")])
    client.log_text(run, "an artifact", "deep/metrics/a.txt")
client.delete_experiment(gone)
client.create_registered_model("model")
"""


@pytest.fixture
def file_store(tmp_path: Path) -> Path:
    folder = tmp_path / "mlruns"
    environment = plain_environment({"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ALLOW_FILE_STORE": "true"})
    subprocess.run([sys.executable, "-c", _FILL, folder.as_uri()], env=environment, check=True)
    return folder


def test_a_file_store_is_copied_with_its_artifacts(databases: Databases, file_store: Path, tmp_path: Path) -> None:
    target = databases.sqlite()
    new = tmp_path / "new place"
    ended = run_command(
        *("--from", file_store, "--to", target, "--artifacts-from", file_store, "--artifacts-to", new, "--json"),
        environment={"TMPDIR": str(tmp_path)},
    )
    assert ended.status == 0, ended.err
    assert ended.summary["objects"] == 2
    assert [file.name for file in new.rglob("*") if file.is_file()] == ["a.txt", "a.txt"]
    assert not list(tmp_path.glob("tracking-server-copy-*"))
    assert [row["name"] for row in read_all(target)["registered_models"]] == ["model"]
    client = MlflowClient(target)
    found = client.search_experiments(view_type=ViewType.ALL)
    assert {each.name: each.lifecycle_stage for each in found} == {
        "Default": "active",
        "kept": "active",
        "gone": "deleted",
    }
    for experiment in found:
        for run in client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL):
            assert run.info.artifact_uri is not None
            assert run.info.artifact_uri.startswith(f"{new}/")
            assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/deep/metrics/a.txt") == "an artifact"
            assert [each.step for each in client.get_metric_history(run.info.run_id, "m")] == [0, 1, 2]
