"""logged-models/search: filters, order by columns and metrics, datasets, pages."""

from __future__ import annotations

import pytest

from differential.calls import metric, new_experiment, new_logged_model, new_run, on_run, pair_of
from differential.harness.pair import Pair
from differential.harness.script import Call, Script, post, script, send


def search(text: str = "", **more: object) -> Call:
    return post("logged-models/search", {"experiment_ids": ["{exp}", "{two}"], "filter": text, **more})


def by(field: str, ascending: bool | None = True, **more: object) -> Call:
    return search(order_by=[{"field_name": field, "ascending": ascending, **more}])


def on_model(model: str, value: object, **more: object) -> dict[str, object]:
    return {**metric("m", value), "model_id": f"{{{model}}}", **more}


def finalize(status: object, model: str = "{model}", **more: object) -> Call:
    return send("PATCH", f"logged-models/{model}", {"model_id": model, "status": status, **more})


FOUND = [
    new_experiment(),
    new_experiment("two", save="two"),
    new_run(),
    new_run("other", start_time=2, exp="two"),
    on_run(
        "log-inputs",
        datasets=[{"dataset": {"name": "train", "digest": "d1", "source_type": "s", "source": "{}"}}],
    ),
    new_logged_model(
        "a",
        name="alpha",
        model_type="agent",
        source_run_id="{run}",
        tags=[pair_of("t", "x")],
        params=[pair_of("p", "1")],
    ),
    new_logged_model(
        "b", name="Beta", tags=[pair_of("t", "X"), pair_of("odd key", "it's")], params=[pair_of("p", "2")]
    ),
    new_logged_model("c", name="beta_2", exp="two", model_type="agent"),
    new_logged_model("gone", name="gone"),
    send("DELETE", "logged-models/{gone}"),
    on_run("log-batch", metrics=[on_model("a", 1.0), on_model("a", 3.0, step=1), on_model("b", 2.0)]),
    on_run("log-batch", metrics=[on_model("a", 9.0, dataset_name="train", dataset_digest="d1", timestamp=5)]),
    on_run("log-batch", "other", metrics=[on_model("c", -1.0), metric("n", 5.0, model_id="{c}")]),
    finalize("LOGGED_MODEL_READY", "{b}"),
]
FILTERS = [
    *(
        "",
        " ",
        "name = 'alpha'",
        "attributes.name = 'alpha'",
        "attribute.name = 'alpha'",
        "name != 'alpha'",
        "name LIKE 'b%'",
    ),
    *(
        "name ILIKE 'B%'",
        "name IN ('alpha', 'Beta')",
        "name NOT IN ('alpha')",
        "name = alpha",
        'name = "alpha"',
        "`name` = 'alpha'",
    ),
    *(
        "model_type = 'agent'",
        "model_type != 'agent'",
        "model_id = '{a}'",
        "model_id IN ('{a}', '{b}')",
        "status = 'READY'",
    ),
    *(
        "status = 'LOGGED_MODEL_READY'",
        "status = 2",
        "source_run_id = '{run}'",
        "creation_timestamp > 0",
        "creation_time > 0",
    ),
    *(
        "creation_timestamp_ms > 0",
        "last_updated_timestamp > 0",
        "creation_timestamp = 'x'",
        "creation_timestamp < 1",
        "artifact_location LIKE '%'",
    ),
    *(
        "metrics.m > 1",
        "metrics.m > 2.5",
        "metrics.m = 9",
        "metrics.m != 1",
        "metrics.n = 5",
        "metrics.none > 0",
        "metrics.m = 'x'",
        "metrics.m < 0",
    ),
    *(
        "params.p = '1'",
        "params.p != '1'",
        "params.p LIKE '%'",
        "params.p = 1",
        "params.p IN ('1')",
        "params.none = '1'",
        "params.p > '1'",
    ),
    *(
        "tags.t = 'x'",
        "tags.t != 'x'",
        "tags.t ILIKE 'x'",
        'tags.`odd key` = "it\'s"',
        "tags.none = 'x'",
        "tags.t IN ('x')",
    ),
    *(
        "name = 'alpha' AND metrics.m > 0",
        "metrics.m > 0 AND params.p = '1' AND tags.t = 'x'",
        "name = 'a' OR name = 'b'",
    ),
    *(
        "nonsense = 'x'",
        "name",
        "name =",
        "'",
        "(name = 'alpha')",
        "name = 'alpha';",
        "experiment_id = '{exp}'",
        "lifecycle_stage = 'active'",
    ),
    *(
        "name IS NULL",
        "metrics.`m` > 0",
        'metrics."m" > 0',
        "name LIKE 5",
        "name = 'a\u0000b'",
        "metrics.m > 1e400",
        "metrics.m > nan",
    ),
]
FIELDS = [
    *(
        "name",
        "creation_timestamp",
        "creation_time",
        "creation_timestamp_ms",
        "last_updated_timestamp",
        "model_type",
        "status",
    ),
    *(
        "metrics.m",
        "metrics.n",
        "metrics.none",
        "params.p",
        "tags.t",
        "nonsense",
        "",
        "metrics.",
        "source_run_id",
        "experiment_id",
    ),
    *("attributes.name", "lifecycle_stage", "metrics.a.b", "tags", "metadata", "to_mlflow_entity"),
]

SCRIPTS = [
    script("search", FOUND, [search(text) for text in FILTERS]),
    script(
        "order",
        FOUND,
        [by(field, ascending) for field in FIELDS for ascending in (True, False)],
        by("name", None),
        search(order_by=[{"field_name": "name"}]),
        search(order_by=[{"ascending": False}]),
        search(order_by=[{"field_name": "model_type"}, {"field_name": "metrics.m", "ascending": False}]),
        search(order_by=[{"field_name": "metrics.m"}, {"field_name": "metrics.m"}]),
        by("metrics.m", dataset_name="train"),
        by("metrics.m", dataset_name="train", dataset_digest="d1"),
        by("metrics.m", False, dataset_name="train", dataset_digest="d2"),
        search(datasets=[{"dataset_name": "train"}]),
        search(datasets=[{"dataset_name": "train", "dataset_digest": "d1"}]),
        search(
            datasets=[{"dataset_name": "train", "dataset_digest": "d1"}, {"dataset_name": "x", "dataset_digest": "y"}]
        ),
        search("metrics.m > 5", datasets=[{"dataset_name": "train", "dataset_digest": "d1"}]),
        search(datasets=[{"dataset_digest": "d1"}]),
        search(datasets=[{}]),
    ),
    script(
        "pages",
        FOUND,
        post(
            "logged-models/search",
            {"experiment_ids": ["{exp}", "{two}"], "max_results": 1},
            save={"token": "next_page_token"},
        ),
        post("logged-models/search", {"experiment_ids": ["{exp}", "{two}"], "max_results": 1, "page_token": "{token}"}),
        post("logged-models/search", {"experiment_ids": ["{exp}", "{two}"], "max_results": 2, "page_token": "{token}"}),
        post("logged-models/search", {"experiment_ids": ["{two}", "{exp}"], "max_results": 1, "page_token": "{token}"}),
        post("logged-models/search", {"experiment_ids": ["{exp}"], "page_token": "{token}"}),
        search("name != 'x'", page_token="{token}"),
        search(page_token="{token}", order_by=[{"field_name": "name"}]),
        [search(max_results=count) for count in (0, -1, 1, 2, 3, 4, 50, 51, 1000, 2**31 - 1, 2**31)],
        [search(page_token=token) for token in ("x", "e30=", "W10=", "eyJvZmZzZXQiOiAxfQ==", "é", "/w==")],
        [
            post("logged-models/search", {"experiment_ids": identifiers})
            for identifiers in ([], ["{exp}"], ["999"], ["x"], ["{exp}", "{exp}"], [""])
        ],
        post("logged-models/search"),
    ),
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda item: item.name)
def test_search_logged_models(pair: Pair, script: Script) -> None:
    pair.check(script)
