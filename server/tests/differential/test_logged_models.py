"""Logged models: create, get, finalize, tags, params, delete, and the metrics that runs log on them."""

from __future__ import annotations

import pytest

from differential.calls import log_metric, metric, new_experiment, new_logged_model, new_run, on_run, pair_of
from differential.harness.mutations import ENUM, INTEGER, LIST, TEXT, mutations
from differential.harness.pair import Pair
from differential.harness.script import Call, Script, get, post, script, send

FAR = "m-" + "0" * 32
SETUP = [new_experiment(), new_run(), new_logged_model()]


def read(model: str = "{model}", **query: str) -> Call:
    return get(f"logged-models/{model}", query)


def create(**fields: object) -> Call:
    return post("logged-models", {"experiment_id": "{exp}", **fields})


def finalize(status: object, model: str = "{model}", **more: object) -> Call:
    return send("PATCH", f"logged-models/{model}", {"model_id": model, "status": status, **more})


def set_tags(*tags: object, model: str = "{model}") -> Call:
    return send("PATCH", f"logged-models/{model}/tags", {"tags": list(tags)})


def delete_tag(key: str, model: str = "{model}") -> Call:
    return send("DELETE", f"logged-models/{model}/tags/{key}")


def log_params(*params: object, model: str = "{model}") -> Call:
    return post(f"logged-models/{model}/params", {"model_id": model, "params": list(params)})


def delete(model: str = "{model}") -> Call:
    return send("DELETE", f"logged-models/{model}")


def on_model(model: str, value: object, **more: object) -> dict[str, object]:
    return {**metric("m", value), "model_id": f"{{{model}}}", **more}


SCRIPTS = [
    script(
        "create and get",
        new_experiment(),
        new_run(),
        create(name="n", model_type="t", source_run_id="{run}", params=[pair_of("p")], tags=[pair_of("t")]),
        post("logged-models", {"experiment_id": "{exp}"}, save={"model": "model.info.model_id"}),
        read(),
        create(name=""),
        [
            create(name=name)
            for name in ("a/b", "a:b", "a.b", "a%b", 'a"b', "a'b", " ", "é", "😀", "n" * 500, "n" * 501)
        ],
        create(name="n", params=[pair_of("p", "1"), pair_of("p", "2")]),
        create(name="n", tags=[pair_of("t", "1"), pair_of("t", "2")]),
        create(name="n", params=[pair_of("k" * 255), pair_of("l", "v" * 6000)]),
        create(name="n", params=[pair_of("k" * 256)]),
        create(name="n", params=[pair_of("k", "v" * 6001)]),
        create(name="n", params=[pair_of("bad!")]),
        create(name="n", params=[{"key": "k"}]),
        create(name="n", params=[{"value": "k"}]),
        create(name="n", tags=[pair_of("k" * 256)]),
        create(name="n", tags=[pair_of("bad!", "v" * 9000)]),
        create(name="n", tags=[{"key": "k"}]),
        create(name="n", model_type="m" * 501),
        create(name="n", source_run_id="r" * 33),
        create(name="n", source_run_id="0" * 32),
        post("logged-models", {"experiment_id": "999", "name": "n"}),
        post("logged-models", {"experiment_id": "x", "name": "n"}),
        post("logged-models", {"name": "n"}),
        post("experiments/delete", {"experiment_id": "{exp}"}),
        create(name="n"),
        read(),
        read(FAR),
        read("x"),
        read("x%2Fy"),
    ),
    script(
        "finalize",
        SETUP,
        finalize("LOGGED_MODEL_READY"),
        read(),
        [finalize(status) for status in (1, 2, 3, 0, 4, -1, "2", 2.0, "x", "LOGGED_MODEL_UPLOAD_FAILED", None, True)],
        finalize(2, FAR),
        send("PATCH", "logged-models/{model}", {"model_id": FAR, "status": 2}),
        send("PATCH", "logged-models/{model}", {"status": 2}),
        send("PATCH", "logged-models/{model}", {}),
        send("PATCH", "logged-models/{model}"),
        read(),
        mutations(
            "logged-models/{model}",
            {"model_id": "{model}", "status": 2},
            {"model_id": TEXT, "status": ENUM},
            method="PATCH",
        ),
        read(),
    ),
    script(
        "tags",
        SETUP,
        set_tags(pair_of("a", "1"), pair_of("b", "2")),
        set_tags(pair_of("a", "3"), pair_of("a", "4")),
        set_tags(),
        set_tags(pair_of("é", "😀"), pair_of("k/l", "v"), pair_of("k l", "v"), pair_of("", "v")),
        set_tags(pair_of("k" * 255)),
        set_tags(pair_of("k" * 256)),
        set_tags(pair_of("long", "v" * 8001)),
        set_tags({"key": "k"}),
        set_tags({"value": "v"}),
        set_tags(pair_of("k"), model=FAR),
        read(),
        delete_tag("a"),
        delete_tag("a"),
        delete_tag("k%20l"),
        delete_tag("k%2Fl"),
        delete_tag("%C3%A9"),
        delete_tag("it's"),
        delete_tag("b", FAR),
        read(),
        mutations(
            "logged-models/{model}/tags",
            {"tags": [pair_of("z")]},
            {"tags": LIST, "tags.0.key": TEXT, "tags.0.value": TEXT},
            method="PATCH",
        ),
        read(),
    ),
    script(
        "params",
        SETUP,
        log_params(pair_of("a", "1"), pair_of("b", "2")),
        log_params(pair_of("c", "3")),
        log_params(),
        log_params(pair_of("a", "1")),
        log_params(pair_of("d", "1"), pair_of("a", "2")),
        log_params(pair_of("e", "1"), pair_of("e", "2")),
        log_params(pair_of("k" * 255), pair_of("l", "v" * 6000)),
        log_params(pair_of("k" * 256)),
        log_params(pair_of("m", "v" * 6001)),
        log_params(pair_of("bad!", "é 😀")),
        log_params({"key": "n"}),
        log_params({"value": "n"}),
        log_params(pair_of("z"), model=FAR),
        post("logged-models/{model}/params", {"params": [pair_of("z")]}),
        post("logged-models/{model}/params", {"model_id": FAR, "params": [pair_of("y")]}),
        read(),
        mutations(
            "logged-models/{model}/params",
            {"model_id": "{model}", "params": [pair_of("x")]},
            {"model_id": TEXT, "params": LIST, "params.0.key": TEXT, "params.0.value": TEXT},
        ),
        read(),
    ),
    script(
        "delete",
        SETUP,
        delete(),
        read(),
        read(allow_deleted="true"),
        read(allow_deleted="TRUE"),
        read(allow_deleted="1"),
        read(allow_deleted="false"),
        delete(),
        finalize(2),
        set_tags(pair_of("k")),
        delete_tag("k"),
        log_params(pair_of("p")),
        post("logged-models/search", {"experiment_ids": ["{exp}"]}),
        delete(FAR),
        delete("x"),
    ),
    script(
        "metrics of models",
        SETUP,
        on_run("log-metric", key="m", value=1.0, timestamp=1, step=1, model_id="{model}"),
        on_run("log-metric", key="m", value=1.0, timestamp=1, step=1, model_id="{model}"),
        on_run("log-metric", key="m", value=2.0, timestamp=1, step=1, model_id="{model}"),
        on_run("log-metric", key="nan", value="NaN", timestamp=1, model_id="{model}"),
        on_run("log-metric", key="inf", value="Infinity", timestamp=1, model_id="{model}"),
        on_run("log-metric", key="m", value=1.0, timestamp=2, model_id=FAR),
        on_run("log-metric", key="d", value=1.0, timestamp=2, model_id="{model}", dataset_name="x", dataset_digest="y"),
        on_run("log-metric", key="e", value=1.0, timestamp=2, model_id="{model}", dataset_name="x"),
        on_run("log-metric", key="f", value=1.0, timestamp=2, dataset_name="x", dataset_digest="y"),
        on_run("log-metric", key="bad!", value=1.0, timestamp=2, model_id="{model}"),
        on_run("log-batch", metrics=[on_model("model", 1.0), on_model("model", 1.0), on_model("model", 2.0)]),
        on_run("log-batch", metrics=[on_model("model", 5.0, step=7), metric("plain", 5.0, step=7)]),
        on_run("log-batch", metrics=[metric("q", 1.0, model_id=FAR)]),
        read(),
        get("runs/get", {"run_id": "{run}"}),
        log_metric("m", 3.0),
        on_run("delete"),
        on_run("log-metric", key="m", value=1.0, timestamp=9, model_id="{model}"),
        read(),
    ),
    script(
        "wrong fields",
        new_experiment(),
        mutations(
            "logged-models",
            {"experiment_id": "{exp}", "name": "n", "params": [pair_of("p")], "tags": [pair_of("t")]},
            {
                "experiment_id": TEXT,
                "name": TEXT,
                "model_type": TEXT,
                "source_run_id": TEXT,
                "params": LIST,
                "params.0.key": TEXT,
                "params.0.value": TEXT,
                "tags": LIST,
                "tags.0.key": TEXT,
                "tags.0.value": TEXT,
            },
        ),
        mutations(
            "logged-models/search",
            {"experiment_ids": ["999"], "filter": "name = 'x'", "order_by": [{"field_name": "name"}]},
            {
                "experiment_ids": LIST,
                "filter": TEXT,
                "datasets": LIST,
                "max_results": INTEGER,
                "order_by": LIST,
                "page_token": TEXT,
            },
        ),
    ),
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda item: item.name)
def test_logged_models(pair: Pair, script: Script) -> None:
    pair.check(script)
