"""One of each kind of entity, written with MLflow's client to a running server, and read back from another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import mlflow.genai.datasets
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, ViewType

_LARGE = bytes(range(256)) * 80_000
_METRICS = {
    "loss": [Metric("loss", 1 / (step + 1), 1_700_000_000_000 + step, step) for step in range(50)],
    "nan": [Metric("nan", math.nan, 1_700_000_000_000, 0)],
    "infinite": [Metric("infinite", -math.inf, 2**62, -5), Metric("infinite", math.inf, 2**62, 2**62)],
}


@dataclass(frozen=True)
class Written:
    """The ids under which it is found."""

    experiment_id: str
    deleted_experiment_id: str
    run_id: str
    direct_run_id: str
    trace_id: str
    model_id: str
    dataset_id: str


def _echo(model_input: list[str]) -> list[str]:
    return model_input


def write_everything(url: str, direct_root: str) -> Written:
    """Writes to the server at ``url``; one experiment keeps its artifacts at ``direct_root``, past the server."""
    mlflow.set_tracking_uri(url)
    client = MlflowClient()
    experiment_id = client.create_experiment("Grüße 😀", tags={"team": "blå"})
    deleted = client.create_experiment("gone")
    client.delete_experiment(deleted)
    direct = client.create_experiment("direct", artifact_location=direct_root)
    direct_run = client.create_run(direct)
    client.log_text(direct_run.info.run_id, "direct", "a file.txt")
    mlflow.set_experiment(experiment_id=experiment_id)
    with mlflow.start_run(run_name="first") as run:
        run_id = run.info.run_id
        client.log_batch(
            run_id,
            metrics=[metric for metrics in _METRICS.values() for metric in metrics],
            params=[Param("long", "ü" * 6000), Param("quotes", "'\"\\\t\n")],
            tags=[RunTag("mlflow.note.content", "first line\nsecond")],
        )
        client.log_text(run_id, "hello", "notes/ä %41.txt")
        client.log_text(run_id, "", "empty.txt")
        mlflow.log_dict({"a": [1, None]}, "deep/er/data.json")
        client.log_inputs(
            run_id,
            [DatasetInput(Dataset("iris", "d1", "local", '{"path": "x"}'), [InputTag("mlflow.data.context", "t")])],
        )
        with mlflow.start_run(nested=True):
            mlflow.log_metric("child", 1)
        model = mlflow.pyfunc.log_model(
            name="echo", python_model=_echo, pip_requirements=[], registered_model_name="echo"
        )
    client.set_registered_model_alias("echo", "live", "1")
    client.set_model_version_tag("echo", "1", "checked", "yes")
    client.delete_run(client.create_run(experiment_id).info.run_id)
    span = mlflow.start_span_no_context("asked", inputs={"question": "?"}, experiment_id=experiment_id)
    span.end(outputs={"answer": "!"})
    mlflow.flush_trace_async_logging()
    mlflow.log_feedback(trace_id=span.trace_id, name="right", value=0.5)
    mlflow.genai.register_prompt("greeting", "Hello {{name}}")
    dataset = mlflow.genai.datasets.create_dataset(name="questions", experiment_id=experiment_id)
    dataset.merge_records([{"inputs": {"question": "1+1"}, "expectations": {"answer": "2"}}])
    return Written(
        experiment_id, deleted, run_id, direct_run.info.run_id, span.trace_id, model.model_id, dataset.dataset_id
    )


def large_artifact(url: str, run_id: str, path: str) -> None:
    """Uploads a file of 20 MiB, which is copied in parts."""
    mlflow.set_tracking_uri(url)
    file = Path(path)
    file.write_bytes(_LARGE)
    MlflowClient().log_artifact(run_id, path, "large")


def read_everything(url: str, written: Written) -> Mapping[str, Any]:
    """What the client finds of it at ``url``, without what names the place of artifacts."""
    mlflow.set_tracking_uri(url)
    client = MlflowClient()
    run = client.get_run(written.run_id)
    trace = mlflow.get_trace(written.trace_id)
    assert trace is not None
    version = client.get_model_version_by_alias("echo", "live")
    downloaded = client.download_artifacts(written.run_id, "large")
    large = next(Path(downloaded).iterdir()).read_bytes()
    return {
        "experiments": sorted(
            (each.experiment_id, each.name, each.lifecycle_stage, repr(each.tags), each.creation_time)
            for each in client.search_experiments(view_type=ViewType.ALL)
        ),
        "runs": sorted(
            each.info.run_id for each in client.search_runs([written.experiment_id], run_view_type=ViewType.ALL)
        ),
        "params": run.data.params,
        "tags": run.data.tags,
        "latest": repr(sorted(run.data.metrics.items())),
        "history": {
            key: [
                (repr(each.value), each.timestamp, each.step) for each in client.get_metric_history(written.run_id, key)
            ]
            for key in _METRICS
        },
        "inputs": [each.dataset.digest for each in run.inputs.dataset_inputs] if run.inputs else None,
        "artifacts": mlflow.artifacts.load_text(f"runs:/{written.run_id}/notes/ä %41.txt"),
        "dict": mlflow.artifacts.load_dict(f"runs:/{written.run_id}/deep/er/data.json"),
        "files": sorted((each.path, each.file_size) for each in client.list_artifacts(written.run_id)),
        "large": large == _LARGE,
        "version": (version.version, version.tags, version.run_id),
        "predicted": mlflow.pyfunc.load_model("models:/echo@live").predict(["a"]),
        "trace": [(span.name, span.inputs, span.outputs) for span in trace.data.spans],
        "feedback": [(each.name, each.value) for each in trace.info.assessments],
        "prompt": mlflow.genai.load_prompt("prompts:/greeting/1").format(name="Ada"),
        "records": mlflow.genai.datasets.get_dataset(dataset_id=written.dataset_id).to_df()["inputs"].tolist(),
    }
