"""Writes entities of every kind with whichever MLflow runs this file, and reads them back. MLflow 2.9 to 3.17 run it.

python release_content.py write DATABASE FOLDER URL    the experiment "direct" to the database, with its artifacts in
                                                       the folder, and "served" to its server; then reads
python release_content.py read URL                     prints one JSON object of all that the server shows
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, Experiment, InputTag, Metric, Param, Run, RunTag, ViewType

RELEASE = tuple(map(int, mlflow.__version__.split(".")[:2]))
EXPERIMENTS = ("direct", "served")
SECOND = 1_700_000_000_000
POINTS = 300

VALUES = {
    "loss": [1 / (step + 1) for step in range(POINTS)],
    "odd": [math.nan, math.inf, -math.inf, 1e300, 5e-324],
    "nan at last": [0.5, math.nan],
}
PARAMS = {"long": "ü" * 6000, "quotes": "'\"\\\t\n", "empty": ""}
TAGS = {"long": "t" * 5000, "mlflow.note.content": "first line\nsecond 😀"}


def write(uri: str, name: str, location: str | None) -> None:
    """Writes to ``uri``; artifacts go to ``location``, or to where the server keeps them."""
    mlflow.set_tracking_uri(uri)
    client = MlflowClient()
    experiment = client.create_experiment(name, artifact_location=location, tags={"team": "blå"})
    deleted = client.create_experiment(f"{name}, deleted", artifact_location=location)
    client.create_run(deleted, run_name="in a deleted experiment")
    client.delete_experiment(deleted)
    run = _write_runs(client, experiment)
    _write_registered_model(client, name, run)
    if RELEASE >= (2, 22):
        _write_traces(client, name, experiment)
        mlflow.register_prompt(f"{name}-greeting", "Hello {{name}}", commit_message="first")
    if RELEASE >= (3, 0):
        _write_logged_model(client, name, experiment, run.info.run_id)
    if RELEASE >= (3, 9):
        dataset = client.create_dataset(name, experiment_id=experiment, tags={"kind": "qa"})
        dataset.merge_records([{"inputs": {"question": "1+1"}, "expectations": {"answer": "2"}}])


def _write_runs(client: MlflowClient, experiment: str) -> Run:
    run = client.create_run(experiment, start_time=SECOND, run_name="finished")
    run_id: str = run.info.run_id
    metrics = [
        Metric(key, value, SECOND + 2 * step, step - 3)
        for key, values in VALUES.items()
        for step, value in enumerate(values)
    ]
    client.log_batch(
        run_id, metrics, [Param(*item) for item in PARAMS.items()], [RunTag(*item) for item in TAGS.items()]
    )
    client.log_metric(run_id, "loss", -1.0, timestamp=SECOND, step=0)
    dataset = Dataset("iris", "d1", "local", '{"path": "x"}', '{"columns": []}', '{"rows": 150}')
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
    client.log_text(run_id, "hello", "notes/a b.txt")
    client.log_dict(run_id, {"flavors": {}}, "model/MLmodel")
    child = client.create_run(experiment, start_time=SECOND, run_name="child", tags={"mlflow.parentRunId": run_id})
    client.set_terminated(child.info.run_id, "FAILED", SECOND + 1)
    client.set_terminated(run_id, end_time=SECOND + 2)
    client.create_run(experiment, start_time=SECOND, run_name="running")
    killed = client.create_run(experiment, start_time=SECOND, run_name="deleted")
    client.log_metric(killed.info.run_id, "loss", 2.0, SECOND)
    client.set_terminated(killed.info.run_id, "KILLED", SECOND + 3)
    client.delete_run(killed.info.run_id)
    return run


def _write_registered_model(client: MlflowClient, name: str, run: Run) -> None:
    client.create_registered_model(name, tags={"team": "blå"}, description="classifies")
    source = f"{run.info.artifact_uri}/model"
    for number in range(3):
        client.create_model_version(name, source, run.info.run_id, tags={"number": str(number)}, description="d")
    client.delete_model_version(name, "2")
    client.set_registered_model_alias(name, "champion", "1")
    client.transition_model_version_stage(name, "3", "Production")
    client.create_registered_model(f"{name}, without versions")


def _write_traces(client: MlflowClient, name: str, experiment: str) -> None:
    usage: Any = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    for number, status in enumerate(("OK", "ERROR")):
        root = client.start_trace(
            f"{name} {number}",
            inputs={"question": "1+1"},
            attributes={"mlflow.chat.tokenUsage": usage, "mlflow.llm.model": "gpt"},
            tags={"colour": "blå"},
            experiment_id=experiment,
        )
        trace: str = root.request_id
        child = client.start_span("child", trace, root.span_id, span_type="LLM", inputs=[1, None])
        client.end_span(trace, child.span_id, outputs="2")
        client.end_trace(trace, outputs={"answer": 2}, status=status)
        client.set_trace_tag(trace, "late", "yes")
        if RELEASE >= (3, 9):
            mlflow.log_feedback(trace_id=trace, name="right", value=0.5, rationale="half")
            mlflow.log_feedback(trace_id=trace, name="polite", value=True)
            mlflow.log_expectation(trace_id=trace, name="answer", value={"sum": 2})


def _write_logged_model(client: MlflowClient, name: str, experiment: str, run_id: str) -> None:
    from mlflow.entities import LoggedModelOutput  # which MLflow 2 has not

    tags, params = {"colour": "blå"}, {"depth": "3"}
    model = client.create_logged_model(experiment, name, run_id, tags, params, "Agent")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "MLmodel").write_text("flavors: {}")
        client.log_model_artifacts(model.model_id, folder)
    client.log_metric(run_id, "accuracy", 0.9, timestamp=SECOND, step=1, model_id=model.model_id)
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=1)])
    client.finalize_logged_model(model.model_id, "READY")
    client.create_model_version(name, f"models:/{model.model_id}", run_id, model_id=model.model_id)
    client.delete_logged_model(client.create_logged_model(experiment, "deleted").model_id)


def read(url: str) -> dict[str, Any]:
    """All that the client finds at a server, in words that compare; numbers as text, because of NaN."""
    mlflow.set_tracking_uri(url)
    client = MlflowClient()
    experiments = sorted(client.search_experiments(view_type=ViewType.ALL), key=lambda each: each.name)
    ids = [each.experiment_id for each in experiments]
    runs = client.search_runs(ids, run_view_type=ViewType.ALL)
    active = [each.experiment_id for each in experiments if each.lifecycle_stage == "active"]
    return {
        "experiments": [_experiment(each) for each in experiments],
        "runs": {each.info.run_id: _run(client, each.info.run_id) for each in runs},
        "registered models": _registered_models(client),
        "traces": _traces(client, active) if RELEASE >= (2, 22) else [],
        "prompts": _prompts() if RELEASE >= (2, 22) else [],
        "logged models": _logged_models(client, active) if RELEASE >= (3, 0) else [],
        "evaluation datasets": _evaluation_datasets(client, active) if RELEASE >= (3, 9) else [],
    }


def _experiment(each: Experiment) -> dict[str, Any]:
    return {
        "id": each.experiment_id,
        "name": each.name,
        "location": each.artifact_location,
        "stage": each.lifecycle_stage,
        "times": [each.creation_time, each.last_update_time],
        "tags": each.tags,
    }


def _run(client: MlflowClient, run_id: str) -> dict[str, Any]:
    run = client.get_run(run_id)
    info, data, inputs = run.info, run.data, run.inputs
    histories = {key: client.get_metric_history(info.run_id, key) for key in data.metrics}
    datasets = inputs.dataset_inputs if inputs else []
    outputs = getattr(run, "outputs", None)
    artifacts = client.list_artifacts(info.run_id)
    with tempfile.TemporaryDirectory() as folder:
        return {
            "where": [info.experiment_id, info.run_name, info.artifact_uri],
            "state": [info.status, info.lifecycle_stage, info.start_time, info.end_time, info.user_id],
            "latest": {key: repr(value) for key, value in data.metrics.items()},
            "history": {
                key: sorted([point.step, point.timestamp, repr(point.value)] for point in points)
                for key, points in histories.items()
            },
            "params": data.params,
            "tags": data.tags,
            "datasets": [dict(each.dataset) | {"tags": {tag.key: tag.value for tag in each.tags}} for each in datasets],
            "models": [[each.model_id, each.step] for each in outputs.model_outputs] if outputs else [],
            "artifacts": _texts(client.download_artifacts(info.run_id, "", folder)) if artifacts else {},
        }


def _texts(folder: str) -> dict[str, str]:
    files = (path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def _registered_models(client: MlflowClient) -> list[dict[str, Any]]:
    models = sorted(client.search_registered_models(), key=lambda each: each.name)
    return [
        {
            "name": each.name,
            "description": each.description,
            "tags": each.tags,
            "aliases": each.aliases,
            "times": [each.creation_timestamp, each.last_updated_timestamp],
            "latest": sorted([version.current_stage, int(version.version)] for version in each.latest_versions),
            "versions": sorted(
                (_version(client, found) for found in client.search_model_versions(f"name = '{each.name}'")),
                key=lambda version: int(version["version"]),
            ),
        }
        for each in models
    ]


def _version(client: MlflowClient, found: Any) -> dict[str, Any]:
    # A search leaves the aliases out.
    each = client.get_model_version(found.name, found.version)
    with tempfile.TemporaryDirectory() as folder:
        files = mlflow.artifacts.download_artifacts(f"models:/{each.name}/{each.version}", dst_path=folder)
        return {
            "version": each.version,
            "stage": each.current_stage,
            "status": each.status,
            "source": each.source,
            "run": each.run_id,
            "description": each.description,
            "tags": each.tags,
            "aliases": list(each.aliases),
            "times": [each.creation_timestamp, each.last_updated_timestamp],
            "files": _texts(files),
        }


def _traces(client: MlflowClient, experiments: list[str]) -> list[dict[str, Any]]:
    return sorted((_trace(each) for each in client.search_traces(experiments)), key=lambda each: str(each["id"]))


def _trace(trace: Any) -> dict[str, Any]:
    info = trace.info
    return {
        "id": info.request_id,
        "where": info.experiment_id,
        "times": [info.timestamp_ms, info.execution_time_ms],
        "status": str(info.status),
        "metadata": info.request_metadata,
        "tags": info.tags,
        "spans": sorted(
            [each.name, each.span_type, each.inputs, each.outputs, str(each.status.status_code), each.start_time_ns]
            for each in trace.data.spans
        ),
        "assessments": sorted(
            [each.name, repr(each.value), each.rationale, each.create_time_ms]
            for each in getattr(info, "assessments", None) or []
        ),
    }


def _prompts() -> list[Any]:
    optional: dict[str, Any] = {"allow_missing": True} if RELEASE >= (3, 0) else {}
    prompts = [mlflow.load_prompt(f"{name}-greeting", version=1, **optional) for name in EXPERIMENTS]
    return [[each.name, int(each.version), each.template, each.commit_message, each.tags] for each in prompts if each]


def _logged_models(client: MlflowClient, experiments: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "id": each.model_id,
            "name": each.name,
            "where": [each.experiment_id, each.source_run_id, each.artifact_location],
            "times": [each.creation_timestamp, each.last_updated_timestamp],
            "state": [str(each.status), each.model_type],
            "tags": each.tags,
            "params": each.params,
            "metrics": [[metric.key, repr(metric.value), metric.step, metric.run_id] for metric in each.metrics or []],
        }
        for each in client.search_logged_models(experiments, order_by=[{"field_name": "name"}])
    ]


def _evaluation_datasets(client: MlflowClient, experiments: list[str]) -> list[Any]:
    return [
        [each.dataset_id, each.name, each.digest, each.tags, each.created_time]
        + [[record.inputs, record.expectations] for record in each.records]
        for each in client.search_datasets(experiments)
    ]


def main(action: str, *arguments: str) -> None:
    if action == "write":
        database, folder, url = arguments
        write(database, EXPERIMENTS[0], folder)
        write(url, EXPERIMENTS[1], None)
    else:
        (url,) = arguments
    print(json.dumps(read(url), sort_keys=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
