"""What a team does with a tracking server: it logs with MLflow's own client, and reads back."""

from __future__ import annotations

from dataclasses import dataclass

from mlflow import MlflowClient

_EXPERIMENT = "digits"


@dataclass(frozen=True)
class Logged:
    """A run that was acknowledged, with what it must still hold when it is read again."""

    run_id: str
    name: str


def client(address: str) -> MlflowClient:
    """A client of the server at a unit's address."""
    return MlflowClient(tracking_uri=uri(address), registry_uri=uri(address))


def uri(address: str) -> str:
    return f"http://{address}:5000"


def log_run(address: str, name: str) -> Logged:
    """Logs a run with a parameter, a metric's history, a tag and an artifact, and registers a model version of it."""
    mlflow = client(address)
    experiment = mlflow.get_experiment_by_name(_EXPERIMENT)
    experiment_id = experiment.experiment_id if experiment else mlflow.create_experiment(_EXPERIMENT)
    run = mlflow.create_run(experiment_id, run_name=name)
    run_id = str(run.info.run_id)
    mlflow.log_param(run_id, "rate", "0.01")
    for step in range(3):
        mlflow.log_metric(run_id, "loss", 1.0 / (step + 1), step=step)
    mlflow.set_tag(run_id, "who", name)
    mlflow.log_text(run_id, f"weights of {name}", "model/weights.txt")
    mlflow.set_terminated(run_id)
    if not any(model.name == name for model in mlflow.search_registered_models()):
        mlflow.create_registered_model(name)
    mlflow.create_model_version(name, source=f"runs:/{run_id}/model", run_id=run_id)
    return Logged(run_id, name)


def assert_kept(address: str, *runs: Logged) -> None:
    """Reads the runs again and compares all that was logged."""
    mlflow = client(address)
    for logged in runs:
        run = mlflow.get_run(logged.run_id)
        assert run.info.run_name == logged.name
        assert run.info.status == "FINISHED"
        assert run.data.params == {"rate": "0.01"}
        assert run.data.metrics == {"loss": 1.0 / 3}
        assert run.data.tags["who"] == logged.name
        history = mlflow.get_metric_history(logged.run_id, "loss")
        assert [(point.step, point.value) for point in history] == [(0, 1.0), (1, 0.5), (2, 1.0 / 3)]
        assert _artifact(mlflow, logged.run_id) == f"weights of {logged.name}"
        versions = mlflow.search_model_versions(f"run_id = '{logged.run_id}'")
        assert [version.name for version in versions] == [logged.name]


def _artifact(mlflow: MlflowClient, run_id: str) -> str:
    with open(mlflow.download_artifacts(run_id, "model/weights.txt")) as file:  # noqa: PTH123 - mlflow gives a str
        return file.read()
