"""Runs and experiments with MLflow's client."""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.data.numpy_dataset import from_numpy
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException


def test_a_nested_search_finds_its_best_run(experiment_id: str) -> None:
    with mlflow.start_run(run_name="search") as parent:
        for depth in (2, 4, 8):
            for rate in (0.01, 0.1):
                with mlflow.start_run(nested=True, run_name=f"depth {depth}, rate {rate}"):
                    mlflow.log_params({"depth": depth, "rate": rate, "kind": "tree's"})
                    for step in range(5):
                        mlflow.log_metric("rmse", depth * rate / (step + 1), step=step)
    children = f"tags.mlflow.parentRunId = '{parent.info.run_id}'"
    best = mlflow.search_runs(
        filter_string=f'{children} AND metrics.rmse < 0.1 AND params.kind = "tree\'s"',
        order_by=["metrics.rmse DESC", "params.depth ASC"],
    )
    assert list(best["params.depth"]) == ["4", "2", "8", "4", "2"]
    assert list(best["metrics.rmse"]) == pytest.approx([0.08, 0.04, 0.016, 0.008, 0.004])
    named = mlflow.search_runs(
        filter_string=f"{children} AND attributes.run_name ILIKE 'DEPTH 8%' AND params.rate LIKE '0._'",
        output_format="list",
    )
    assert [run.info.run_name for run in named] == ["depth 8, rate 0.1"]

    client = MlflowClient()
    pages, token = [], None
    while True:
        page = client.search_runs([experiment_id], max_results=3, page_token=token, order_by=["attributes.start_time"])
        pages.append([run.info.run_name for run in page])
        token = page.token
        if not token:
            break
    assert [len(page) for page in pages] == [3, 3, 1]
    assert len({name for page in pages for name in page}) == 7


def test_a_run_is_changed_deleted_and_restored(experiment_id: str) -> None:
    client = MlflowClient()
    run_id = client.create_run(experiment_id, tags={"kept": "no"}, run_name="old").info.run_id
    client.update_run(run_id, "RUNNING", "new")
    client.set_tag(run_id, "mlflow.note.content", "# A note")
    client.delete_tag(run_id, "kept")
    client.log_param(run_id, "p", "1")
    with pytest.raises(MlflowException, match="Changing param values is not allowed") as refused:
        client.log_param(run_id, "p", "2")
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"
    client.set_terminated(run_id, "FAILED")
    client.delete_run(run_id)
    assert [run.info.run_id for run in client.search_runs([experiment_id])] == []
    assert [run.info.run_id for run in client.search_runs([experiment_id], run_view_type=ViewType.DELETED_ONLY)] == [
        run_id
    ]
    client.restore_run(run_id)
    run = client.get_run(run_id)
    assert (run.info.run_name, run.info.status, run.data.params) == ("new", "FAILED", {"p": "1"})
    assert run.data.tags == {"mlflow.runName": "new", "mlflow.note.content": "# A note"}
    with pytest.raises(MlflowException, match="not found"):
        client.get_run("0" * 32)


def test_experiments_are_tagged_renamed_deleted_and_restored(experiment_id: str) -> None:
    client = MlflowClient()
    name = f"second {experiment_id}"
    second = client.create_experiment(name, tags={"team": "blue"})
    client.set_experiment_tag(second, "cost", "12 €")
    client.rename_experiment(second, f"{name}, renamed")
    found = client.search_experiments(filter_string=f"name LIKE 'second {experiment_id}%' AND tags.team = 'blue'")
    assert [(each.name, each.tags) for each in found] == [(f"{name}, renamed", {"team": "blue", "cost": "12 €"})]
    client.delete_experiment_tag(second, "cost")
    with pytest.raises(MlflowException, match="already exists"):
        client.create_experiment(f"{name}, renamed")

    client.delete_experiment(second)
    assert client.get_experiment(second).lifecycle_stage == "deleted"
    with pytest.raises(MlflowException, match="deleted"):
        mlflow.set_experiment(f"{name}, renamed")
    assert second in [each.experiment_id for each in client.search_experiments(ViewType.DELETED_ONLY)]
    client.restore_experiment(second)
    restored = client.get_experiment_by_name(f"{name}, renamed")
    assert restored is not None
    assert (restored.experiment_id, restored.lifecycle_stage, restored.tags) == (second, "active", {"team": "blue"})


def test_a_long_history_comes_back_whole(experiment_id: str) -> None:
    client = MlflowClient()
    run_id = client.create_run(experiment_id).info.run_id
    points = [Metric("loss", math.sin(step), 1_700_000_000_000 + step, step) for step in range(3000)]
    for start in range(0, 3000, 1000):
        client.log_batch(run_id, metrics=points[start : start + 1000])
    odd = [float("nan"), float("inf"), float("-inf"), 1e-320, -0.0]
    client.log_batch(run_id, [Metric("odd", value, 1, step) for step, value in enumerate(odd)])

    history = client.get_metric_history(run_id, "loss")
    assert sorted((each.step, each.value, each.timestamp) for each in history) == [
        (each.step, each.value, each.timestamp) for each in points
    ]
    came = [each.value for each in sorted(client.get_metric_history(run_id, "odd"), key=lambda each: each.step)]
    # MLflow's schema has no infinity: it stores the largest number.
    largest = 1.7976931348623157e308
    assert math.isnan(came[0])
    assert came[1:] == [largest, -largest, 1e-320, 0.0]
    assert client.get_run(run_id).data.metrics["loss"] == points[-1].value


def test_what_threads_were_acknowledged_is_stored(experiment_id: str) -> None:
    client = MlflowClient()
    run_id = client.create_run(experiment_id).info.run_id

    def log(thread: int) -> None:
        for step in range(25):
            client.log_metric(run_id, "shared", thread * 1000 + step, step=step)
            now = int(time.time() * 1000)
            # Neighbours log the same keys in opposite orders, where careless locking would deadlock.
            keys = [f"m{number}" for number in range(20)][:: 1 if thread % 2 else -1]
            client.log_batch(
                run_id,
                metrics=[Metric(key, thread, now, step) for key in keys],
                params=[Param(f"p{thread}.{step}", "1")],
                tags=[RunTag("last", f"{thread}.{step}")],
            )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(log, range(8)))

    shared = client.get_metric_history(run_id, "shared")
    assert sorted(each.value for each in shared) == [thread * 1000 + step for thread in range(8) for step in range(25)]
    for number in (0, 7, 19):
        history = client.get_metric_history(run_id, f"m{number}")
        assert sorted((each.value, each.step) for each in history) == [
            (thread, step) for thread in range(8) for step in range(25)
        ]
    run = client.get_run(run_id)
    assert len(run.data.params) == 200
    newest = max(shared, key=lambda each: (each.step, each.timestamp, each.value))
    assert run.data.metrics["shared"] == newest.value


def test_asynchronous_logging_arrives(experiment_id: str) -> None:
    with mlflow.start_run() as run:
        for step in range(300):
            mlflow.log_metric("m", step, step=step, synchronous=False)
        mlflow.log_params({f"p{number}": number for number in range(150)}, synchronous=False)
    mlflow.flush_async_logging()
    stored = MlflowClient().get_run(run.info.run_id)
    assert len(stored.data.params) == 150
    assert len(MlflowClient().get_metric_history(run.info.run_id, "m")) == 300


def test_datasets_are_inputs_that_runs_are_found_by(experiment_id: str) -> None:
    table = from_numpy(np.arange(12.0).reshape(4, 3), targets=np.arange(4), name="table")
    with mlflow.start_run() as run:
        mlflow.log_input(table, context="training", tags={"split": "a"})
    stored = MlflowClient().get_run(run.info.run_id)
    assert stored.inputs is not None
    (given,) = stored.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("table", table.digest)
    assert {tag.key: tag.value for tag in given.tags} == {"mlflow.data.context": "training", "split": "a"}
    assert '"features"' in (given.dataset.schema or "")
    found = mlflow.search_runs(
        filter_string="datasets.name = 'table' AND dataset.context = 'training'", output_format="list"
    )
    assert [each.info.run_id for each in found] == [run.info.run_id]
