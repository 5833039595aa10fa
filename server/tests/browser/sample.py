"""What the pages of the UI show: an experiment with a run, its artifacts, a registered model and a trace."""

from __future__ import annotations

import math
from dataclasses import dataclass

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

EXPERIMENT = "Flowers"
RUN = "first training"
MODEL = "flower-classifier"
PROMPT = "greeting"
NOTE = "Petals are measured in centimetres."


@dataclass(frozen=True)
class Sample:
    """The ids that pages are found under."""

    experiment_id: str
    run_id: str


def log_sample(url: str) -> Sample:
    """Logs the sample with MLflow's client to the server at ``url``."""
    client = MlflowClient(url)
    experiment_id = client.create_experiment(EXPERIMENT)
    run = client.create_run(experiment_id, run_name=RUN, tags={"team": "blue"})
    run_id = run.info.run_id
    started = run.info.start_time
    client.log_batch(
        run_id,
        metrics=[Metric("accuracy", 1 - math.exp(-step / 9), started + step, step) for step in range(40)],
        params=[Param("depth", "7"), Param("kind", "forest")],
    )
    client.log_text(run_id, NOTE, "notes/readme.txt")
    client.log_text(run_id, "flavors: {}\n", "model/MLmodel")
    client.set_terminated(run_id)
    client.create_registered_model(MODEL, description="Tells flowers apart")
    client.create_model_version(MODEL, f"{run.info.artifact_uri}/model", run_id)
    client.set_registered_model_alias(MODEL, "champion", "1")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(url)
    try:
        _log_trace(experiment_id)
        mlflow.genai.register_prompt(PROMPT, "Hello {{name}}")
    finally:
        mlflow.set_tracking_uri(before)
    return Sample(experiment_id, run_id)


def _log_trace(experiment_id: str) -> None:
    span = mlflow.start_span_no_context("which flower", inputs={"petal": 4.2}, experiment_id=experiment_id)
    span.end(outputs={"flower": "virginica"})
    mlflow.flush_trace_async_logging()
