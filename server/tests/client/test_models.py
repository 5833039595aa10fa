"""Models with MLflow's client: trained, logged, registered, found again and asked."""

from __future__ import annotations

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature

from client import iris


def test_iris_from_training_to_prediction_by_alias(experiment_id: str) -> None:
    features, classes = iris.data()
    model = iris.trained()
    with mlflow.start_run(run_name="first") as run:
        mlflow.log_params({"C": 1.0, "max_iter": 1000})
        mlflow.log_metrics({"accuracy": model.score(features, classes)}, step=3)
        mlflow.set_tags({"team": "blue", "größe": "übergroß 🌻"})
        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            signature=infer_signature(features, model.predict(features)),
            input_example=features[:2],
            registered_model_name=f"iris {experiment_id}",
            pip_requirements=iris.REQUIREMENTS,
        )
        mlflow.log_metric("checked", 0.5, step=3, model_id=logged.model_id)
    client = MlflowClient()
    name = f"iris {experiment_id}"
    client.set_registered_model_alias(name, "champion", "1")

    stored = client.get_run(run.info.run_id)
    assert stored.info.status == "FINISHED"
    assert stored.data.params == {"C": "1.0", "max_iter": "1000"}
    assert stored.data.metrics == {"accuracy": model.score(features, classes), "checked": 0.5}
    assert stored.data.tags["größe"] == "übergroß 🌻"
    assert stored.outputs is not None
    assert [output.model_id for output in stored.outputs.model_outputs] == [logged.model_id]

    found = mlflow.get_logged_model(logged.model_id)
    assert (found.name, found.source_run_id, found.status) == ("model", run.info.run_id, "READY")
    assert found.metrics is not None
    assert [(metric.key, metric.step) for metric in found.metrics] == [("checked", 3)]
    searched = mlflow.search_logged_models([experiment_id], "metrics.checked < 0.9", output_format="list")
    assert [each.model_id for each in searched] == [logged.model_id]

    for uri in (f"models:/{name}@champion", f"models:/{name}/1", logged.model_uri, f"runs:/{run.info.run_id}/model"):
        assert np.array_equal(mlflow.sklearn.load_model(uri).predict(features), model.predict(features))
    asked = mlflow.pyfunc.load_model(f"models:/{name}@champion")
    assert asked.metadata.model_id == logged.model_id
    assert np.array_equal(asked.predict(features[:5]), model.predict(features[:5]))


def test_autolog_fills_a_run(experiment_id: str) -> None:
    mlflow.sklearn.autolog(log_models=False, log_datasets=True)
    try:
        with mlflow.start_run() as run:
            iris.trained(0.5)
    finally:
        mlflow.sklearn.autolog(disable=True)
    stored = MlflowClient().get_run(run.info.run_id)
    assert stored.data.params["C"] == "0.5"
    assert stored.data.metrics["training_accuracy_score"] > 0.9
    assert stored.data.tags["estimator_name"] == "LogisticRegression"
    assert stored.inputs is not None
    assert [tag.value for each in stored.inputs.dataset_inputs for tag in each.tags] == ["train"]
    artifacts = [file.path for file in MlflowClient().list_artifacts(run.info.run_id)]
    assert "training_confusion_matrix.png" in artifacts


def test_a_registry_is_kept(experiment_id: str) -> None:
    client = MlflowClient()
    name, renamed = f"m {experiment_id}", f"n/ä {experiment_id}".replace("/", "-")
    client.create_registered_model(name, {"team": "blue"}, "first")
    with mlflow.start_run() as run:
        for c in (0.1, 1.0, 10.0):
            logged = mlflow.sklearn.log_model(iris.trained(c), name="model", pip_requirements=iris.REQUIREMENTS)
            mlflow.register_model(logged.model_uri, name, tags={"c": str(c)})
    client.transition_model_version_stage(name, "1", "Production")
    client.transition_model_version_stage(name, "2", "Production", archive_existing_versions=True)
    client.update_model_version(name, "3", description="the newest")
    client.set_model_version_tag(name, "3", "checked", "yes")
    client.delete_model_version_tag(name, "3", "c")
    client.set_registered_model_tag(name, "team", "red")

    stages = {each.version: each.current_stage for each in client.search_model_versions(f"name = '{name}'")}
    assert stages == {"1": "Archived", "2": "Production", "3": "None"}
    assert {each.version for each in client.get_latest_versions(name, ["Production", "None"])} == {"2", "3"}
    assert [each.version for each in client.search_model_versions(f"run_id = '{run.info.run_id}' AND tags.c = '1.0'")]
    newest = client.get_model_version(name, "3")
    assert (newest.description, newest.tags) == ("the newest", {"checked": "yes"})

    client.rename_registered_model(name, renamed)
    client.set_registered_model_alias(renamed, "champion", "3")
    found = client.get_registered_model(renamed)
    assert (found.tags, found.description, found.aliases) == ({"team": "red"}, "first", {"champion": "3"})
    with pytest.raises(MlflowException, match="not found") as raised:
        client.get_registered_model(name)
    assert raised.value.error_code == "RESOURCE_DOES_NOT_EXIST"

    copied = client.copy_model_version(f"models:/{renamed}@champion", f"copy {experiment_id}")
    assert np.array_equal(
        mlflow.sklearn.load_model(f"models:/{copied.name}/{copied.version}").coef_, iris.trained(10.0).coef_
    )
    client.delete_model_version(renamed, "1")
    client.delete_registered_model(renamed)
    left = client.search_registered_models(f"name ILIKE '%{experiment_id}'")
    assert [each.name for each in left if each.name in (renamed, copied.name)] == [copied.name]
