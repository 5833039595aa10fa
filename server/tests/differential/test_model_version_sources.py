"""Which sources a model version may have: URIs, paths, runs, logged models, other versions."""

from __future__ import annotations

import pytest

from differential.calls import new_experiment, new_logged_model, new_model, new_run, new_version
from differential.harness.pair import Pair
from differential.harness.script import Script, get, script

FAR = "0" * 32
SOURCES = [
    *(
        "s3://bucket/model",
        "s3://bucket/../model",
        "s3://bucket/a/./b",
        "s3://bucket//model",
        "s3:/bucket/model",
        "gs://b/m",
    ),
    *(
        "dbfs:/m",
        "http://example.com/m",
        "https://example.com/a/../b",
        "http://example.com/%2e%2e/m",
        "ftp://example.com/m",
    ),
    *(
        "/srv/model",
        "srv/model",
        "./model",
        "../model",
        "file:///srv/model",
        "file://example.com/srv/model",
        "file:srv",
        "",
    ),
    *(
        "mlflow-artifacts:/1/model",
        "mlflow-artifacts:/../model",
        "mlflow-artifacts://example.com/m",
        "mlflow-artifacts:/a%00b",
    ),
    *(
        "runs:/" + FAR + "/model",
        "runs:/",
        "runs:/x",
        "runs://h/x/model",
        "models:/m/1",
        "models:/m",
        "models:/nobody/1",
    ),
    *(
        "models:/m@champion",
        "models:/m/Production",
        "models:/m/latest",
        "models:/" + "m-" + FAR,
        "models://h/m/1",
        "models:/",
        "x",
    ),
    *(
        "http://example.com/api/2.0/mlflow-artifacts/artifacts/m",
        "s3://bucket/m?x=y",
        "s3://bucket/m#f",
        "S3://bucket/m",
        "é",
        " ",
    ),
    *(
        "s3://bucket/" + "m" * 488,
        "s3://bucket/" + "m" * 489,
        "C:\\model",
        "\\\\host\\share",
        "nonsense:x",
        "abfss://c@a/m",
    ),
]

SCRIPTS = [
    script("sources", new_model(), new_version(), [new_version(source=source) for source in SOURCES]),
    script(
        "sources with a run",
        new_experiment(),
        new_run(),
        new_run("other", start_time=2),
        new_model(),
        [new_version(source=source, run_id="{run}") for source in SOURCES],
        new_version(source="runs:/{run}/model", run_id="{run}"),
        new_version(source="runs:/{run}/model", run_id="{other}"),
        new_version(source="runs:/{run}/model"),
        new_version(source="mlflow-artifacts:/{exp}/{run}/artifacts/model", run_id="{run}"),
        new_version(source="mlflow-artifacts:/{exp}/{run}/artifacts", run_id="{run}"),
        new_version(source="mlflow-artifacts:/{exp}/{run}/artifactsx", run_id="{run}"),
        new_version(source="mlflow-artifacts:/{exp}/{run}/artifacts/model", run_id="{other}"),
        new_version(source="mlflow-artifacts:/{exp}/{run}/artifacts/model", run_id=FAR),
        new_version(source="mlflow-artifacts:/{exp}/{run}/artifacts/../x", run_id="{run}"),
        new_version(run_id=FAR),
        new_version(run_id="x"),
        new_version(run_id="x" * 33),
        get("registered-models/get", {"name": "m"}),
    ),
    script(
        "sources with a logged model",
        new_experiment(),
        new_run(),
        new_logged_model(source_run_id="{run}"),
        new_logged_model("two"),
        new_model(),
        new_version(source="models:/{model}", model_id="{model}"),
        new_version(source="models:/{model}", model_id="{two}"),
        new_version(source="models:/{model}"),
        new_version(source="models:/{model}", model_id="m-" + FAR),
        new_version(source="mlflow-artifacts:/{exp}/models/{model}/artifacts", model_id="{model}"),
        new_version(source="mlflow-artifacts:/{exp}/models/{two}/artifacts", model_id="{model}"),
        new_version(source="s3://bucket/model", model_id="{model}"),
        new_version(source="s3://bucket/model", model_id="{model}", run_id="{run}"),
        new_version(source="models:/m/1"),
        new_version(source="models:/m/1", model_id="{model}"),
        new_version(source="models:/m/1", model_id="{two}"),
        new_version(source="models:/m/1", run_id="{run}"),
        get("/api/2.0/mlflow/logged-models/{model}"),
        get("model-versions/search"),
    ),
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda item: item.name)
def test_model_version_sources(pair: Pair, script: Script) -> None:
    pair.check(script)
