"""What a run takes in and puts out: log-inputs with datasets and models, outputs."""

from __future__ import annotations

import pytest

from differential.calls import get_run, new_experiment, new_logged_model, new_run, on_run, pair_of
from differential.harness.mutations import LIST, TEXT, mutations
from differential.harness.pair import Pair
from differential.harness.script import Call, Script, post, script

SETUP = [new_experiment(), new_run()]
DATASET = {"name": "d", "digest": "abc", "source_type": "local", "source": "{}", "schema": "{}", "profile": "{}"}


def dataset_input(*tags: tuple[str, str], **changes: object) -> dict[str, object]:
    return {"dataset": {**DATASET, **changes}, "tags": [pair_of(key, value) for key, value in tags]}


def log_inputs(*datasets: object, run: str = "run", **more: object) -> Call:
    return on_run("log-inputs", run, datasets=list(datasets), **more)


SCRIPTS = [
    script(
        "datasets as inputs",
        *SETUP,
        new_run("other", start_time=2, name="o"),
        log_inputs(dataset_input(("mlflow.data.context", "train"), ("k", "v"))),
        get_run(),
        log_inputs(dataset_input(("mlflow.data.context", "test"))),
        log_inputs(dataset_input(digest="def"), dataset_input(digest="def"), dataset_input(("a", "b"), name="e")),
        get_run(),
        log_inputs(dataset_input(("mlflow.data.context", "other")), run="other"),
        log_inputs(dataset_input(source="changed", schema="changed", profile="changed"), run="other"),
        get_run("other"),
        log_inputs(),
        log_inputs({"dataset": {"name": "n", "digest": "d", "source_type": "t", "source": "s"}}),
        log_inputs(dataset_input(("k", "1"), ("k", "2"), name="twice")),
        get_run(),
    ),
    script(
        "datasets beyond the limits",
        *SETUP,
        log_inputs(dataset_input(name="n" * 500)),
        log_inputs(dataset_input(name="n" * 501)),
        log_inputs(dataset_input(digest="d" * 36)),
        log_inputs(dataset_input(digest="d" * 37)),
        log_inputs(dataset_input(source_type="s" * 37)),
        log_inputs(dataset_input(source="s" * 65535)),
        log_inputs(dataset_input(source="s" * 65536)),
        log_inputs(dataset_input(schema="s" * 1048576)),
        log_inputs(dataset_input(("k" * 255, "v"), name="tk")),
        log_inputs(dataset_input(("k" * 256, "v"), name="tl")),
        log_inputs(dataset_input(("k", "v" * 500), name="tv")),
        log_inputs(dataset_input(("k", "v" * 501), name="tw")),
        log_inputs(*(dataset_input(digest=str(number)) for number in range(1000))),
        log_inputs(*(dataset_input(digest=str(number)) for number in range(1001))),
        get_run(),
    ),
    script(
        "wrong fields of log-inputs",
        *SETUP,
        mutations(
            "runs/log-inputs",
            {"run_id": "{run}", "datasets": [dataset_input(("k", "v"))], "models": [{"model_id": "m-1"}]},
            {
                "run_id": TEXT,
                "datasets": LIST,
                "datasets.0.tags": LIST,
                "datasets.0.tags.0.key": TEXT,
                "datasets.0.tags.0.value": TEXT,
                "datasets.0.dataset": LIST,
                "models": LIST,
                "models.0.model_id": TEXT,
            },
        ),
        mutations(
            "runs/log-inputs",
            {"run_id": "{run}", "datasets": [dataset_input()]},
            {f"datasets.0.dataset.{field}": TEXT for field in DATASET},
        ),
        get_run(),
    ),
    script(
        "models as inputs and outputs",
        *SETUP,
        new_logged_model(),
        on_run("log-inputs", models=[{"model_id": "{model}"}]),
        on_run("log-inputs", models=[{"model_id": "{model}"}, {"model_id": "m-unknown"}]),
        on_run("outputs", models=[{"model_id": "{model}", "step": 3}]),
        get_run(),
        on_run("outputs", models=[{"model_id": "m-a", "step": 1}, {"model_id": "m-b"}]),
        get_run(),
        on_run("outputs", models=[{"model_id": "{model}", "step": 4}]),
        on_run("outputs", models=[{"model_id": "m-c"}, {"model_id": "m-c"}]),
        on_run("outputs", models=[]),
        on_run("outputs"),
        get_run(),
        mutations(
            "runs/outputs",
            {"run_id": "{run}", "models": [{"model_id": "m-z", "step": 1}]},
            {"run_id": TEXT, "models": LIST, "models.0.model_id": TEXT, "models.0.step": ("null", '"x"', "1.5", "[]")},
        ),
        post("runs/search", {"experiment_ids": ["{exp}"]}),
    ),
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda item: item.name)
def test_run_inputs(pair: Pair, script: Script) -> None:
    pair.check(script)
