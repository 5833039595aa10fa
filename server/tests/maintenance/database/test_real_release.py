"""A database that a real older MLflow made and filled through its own client, upgraded, then read by today's client."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest

from support.databases import Dialect
from support.fixtures import DIALECTS
from support.processes import plain_environment

from .conftest import Database
from .old_schemas import OldDatabases, rows_of, schema_of, upgrade_with_stock

_FILL = """
import json, mlflow, sys
from mlflow import MlflowClient
uri = sys.argv[1]
mlflow.set_tracking_uri(uri)
client = MlflowClient(uri)
experiment = client.create_experiment("old", artifact_location=sys.argv[2])
runs = []
for number in range(10):
    run = client.create_run(experiment, run_name=f"run {number}")
    for step in range(20):
        client.log_metric(run.info.run_id, "loss", float("nan") if step == 3 else 1 / (step + 1), step=step)
    client.log_param(run.info.run_id, "p", "v" * 500)
    client.set_tag(run.info.run_id, "k", "t" * 5000)
    client.set_terminated(run.info.run_id)
    runs.append(run.info.run_id)
client.delete_run(runs[9])
client.create_registered_model("model", description="d")
client.create_model_version("model", source=sys.argv[2], run_id=runs[0])
client.set_registered_model_alias("model", "champion", "1")
with mlflow.start_run(run_id=runs[1]):
    mlflow.set_experiment("old")
trace = client.start_trace("request", inputs={"a": 1}, experiment_id=experiment)
client.end_trace(trace.request_id, outputs={"b": 2})
print(json.dumps({"version": mlflow.__version__, "experiment": experiment, "runs": runs}))
"""


@pytest.fixture(scope="session")
def old_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with MLflow 2.22, installed from versions and hashes."""
    folder = tmp_path_factory.mktemp("mlflow-2.22") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    requirements = Path(__file__).with_name("requirements-mlflow-2.22.txt")
    install: list[str | Path] = ["-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", requirements]
    subprocess.run([folder / "bin" / "python", *install], check=True)
    return folder / "bin" / "python"


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_mlflow_2_22_stored_is_read_after_the_upgrade(
    dialect: Dialect,
    old_python: Path,
    old_databases: OldDatabases,
    database_at: Callable[[str], Database],
    tmp_path: Path,
) -> None:
    database = database_at(old_databases.empty(dialect))
    done = subprocess.run(
        [old_python, "-c", _FILL, database.uri, str(tmp_path / "artifacts")],
        cwd=tmp_path,
        env=plain_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    stored = json.loads(done.stdout.splitlines()[-1])
    assert stored["version"].startswith("2.22.")
    by_stock = old_databases.copy(database.uri)
    upgrade_with_stock(by_stock)
    assert database.status()[1]["current_mlflow"] == "2.22"

    database.upgrade()

    assert rows_of(database.uri) == rows_of(by_stock)
    assert schema_of(database.uri) == schema_of(by_stock)
    client = mlflow.MlflowClient(database.uri)
    runs = client.search_runs([stored["experiment"]], order_by=["attributes.run_name ASC"])
    assert [run.info.run_id for run in runs] == stored["runs"][:9]
    assert runs[0].data.params == {"p": "v" * 500}
    assert runs[0].data.tags["k"] == "t" * 5000
    assert len(client.get_metric_history(runs[0].info.run_id, "loss")) == 20
    assert client.get_model_version_by_alias("model", "champion").run_id == stored["runs"][0]
    assert len(client.search_traces(experiment_ids=[stored["experiment"]])) == 1
