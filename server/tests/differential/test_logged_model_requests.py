"""Logged models and the inputs of runs: what requests may look like, and what they leave behind."""

from __future__ import annotations

import pytest

from differential.calls import get_run, new_experiment, new_logged_model, new_run, on_run, pair_of
from differential.harness.pair import Pair
from differential.harness.script import AJAX, Call, Script, get, post, script, send

SETUP = [new_experiment(), new_run(), new_logged_model(tags=[pair_of("t")], params=[pair_of("p")])]
MODEL = "logged-models/{model}"
DATASET = {"name": "d", "digest": "abc", "sourceType": "local", "source": "{}"}


def read(path: str = MODEL, **query: str) -> Call:
    return get(path, query)


SCRIPTS = [
    script(
        "get and delete read nothing but the path",
        *SETUP,
        read(model_id="m-other", allow_deleted="maybe", unknown="x"),
        send("GET", MODEL, raw=b"[broken"),
        send("GET", MODEL, raw=b"[]", content_type="text/plain"),
        get(MODEL, [("allow_deleted", "true"), ("allow_deleted", "false")]),
        send("DELETE", f"{MODEL}/tags/t", raw=b"[broken"),
        send("DELETE", MODEL, raw=b'"x"', content_type="text/plain"),
        get(MODEL, [("allow_deleted", "true"), ("allow_deleted", "false")]),
        get(MODEL, [("allow_deleted", "false"), ("allow_deleted", "true")]),
        get(MODEL, [("allow_deleted", "")]),
        send("GET", "logged-models/m-%00"),
        send("DELETE", "logged-models/m-%00"),
        send("DELETE", f"{MODEL}/tags/%00"),
        send("DELETE", f"{MODEL}/tags/%F0%9F%98%80"),
    ),
    script(
        "content types",
        *SETUP,
        [
            send(method, f"{MODEL}{path}", body, content_type=content_type)
            for content_type in (None, "text/plain", "application/json; charset=utf-8")
            for method, path, body in (
                ("PATCH", "", {"model_id": "{model}", "status": 2}),
                ("PATCH", "/tags", {"tags": [pair_of("k")]}),
                ("POST", "/params", {"model_id": "{model}", "params": [pair_of(str(content_type)[:5])]}),
            )
        ],
        send("POST", "logged-models", {"experiment_id": "{exp}"}, content_type="text/plain"),
        send("POST", "logged-models/search", {"experiment_ids": ["{exp}"]}, content_type=None),
        read(),
    ),
    script(
        "spellings",
        *SETUP,
        post("logged-models", {"experimentId": "{exp}", "name": "c", "modelType": "t", "sourceRunId": "{run}"}),
        post("logged-models", {"experiment_id": "{exp}", "experimentId": "{exp}"}),
        post("logged-models", {"experiment_id": "{exp}", "name": None, "model_type": None, "params": None}),
        post("logged-models", {"experiment_id": "{exp}", "name": "u", "unknown": 1, "tags": [{"key": "k", "x": 1}]}),
        post(f"{MODEL}/params", {"modelId": "{model}", "params": [pair_of("camel")]}),
        send("PATCH", MODEL, {"modelId": "{model}", "status": "LOGGED_MODEL_READY"}),
        send("PATCH", MODEL, {"model_id": "{model}", "modelId": "{model}", "status": 2}),
        send("PATCH", MODEL, {"status": 99, "model_id": "{model}"}),
        send("PATCH", f"{MODEL}/tags", {"model_id": "m-other", "tags": [pair_of("k")]}),
        send("PATCH", f"{MODEL}/tags", {"model_id": 5, "tags": [pair_of("k")]}),
        send("PATCH", f"{MODEL}/tags", {"tags": [pair_of("k", "2")], "model_id": 5}),
        send("PATCH", f"{MODEL}/tags", raw=b'"{\\"tags\\": [{\\"key\\": \\"twice\\", \\"value\\": \\"v\\"}]}"'),
        send("PATCH", f"{MODEL}/tags", raw=b"broken"),
        send("PATCH", f"{MODEL}/tags", raw=b""),
        # Those without a name were given one at random, which may be the first.
        post(
            "logged-models/search",
            {
                "experimentIds": ["{exp}"],
                "filter": "name = 'c'",
                "maxResults": "1",
                "orderBy": [{"fieldName": "name"}],
            },
        ),
        read(),
        read(f"{AJAX}{MODEL}"),
    ),
    script(
        "experiment ids",
        new_experiment(),
        [
            post("logged-models", {"experiment_id": text, "name": "n"})
            for text in (
                "0",
                "00",
                " 0",
                "0 ",
                "+0",
                "-0",
                "-1",
                "0_0",
                "٠",
                "1e0",
                "2147483648",
                "99999999999999999999",
            )
        ],
        post("logged-models", {"experiment_id": " {exp} ", "name": "n"}),
        post("logged-models/search", {"experiment_ids": ["0"]}),
    ),
    script(
        "many of them",
        new_experiment(),
        new_logged_model(
            params=[pair_of(f"p{number}", "é\u0301 😀") for number in range(150)],
            tags=[pair_of(f"t{number}", '"\\\n') for number in range(150)],
        ),
        send("PATCH", f"{MODEL}/tags", {"tags": [pair_of(f"t{number}", "new") for number in range(100, 260)]}),
        post(f"{MODEL}/params", {"model_id": "{model}", "params": [pair_of(f"q{number}") for number in range(250)]}),
        post(f"{MODEL}/params", {"model_id": "{model}", "params": [pair_of("r"), pair_of("q7")]}),
        read(),
    ),
    script(
        "inputs and outputs",
        *SETUP,
        on_run("log-inputs", datasets=[{"dataset": DATASET, "tags": [pair_of("é", "😀")]}, {"dataset": None}, {}]),
        on_run("log-inputs", datasets=[{"dataset": {**DATASET, "schema": "", "profile": None, "digest": "é"}}]),
        on_run("log-inputs", datasets=[{"dataset": {**DATASET, "name": name}} for name in ("x", "y", "x", "d")]),
        on_run("log-inputs", models=[{"model_id": "{model}"}, {"model_id": "{model}"}, {"model_id": ""}]),
        on_run("log-inputs", models=[{"modelId": "m" * 37}, {"model_id": "z"}]),
        on_run("log-inputs", datasets=[{"dataset": {**DATASET, "digest": "n"}}], models=[{"model_id": "m" * 37}]),
        on_run("outputs", models=[{"modelId": "{model}", "step": "9223372036854775807"}, {"step": -5}]),
        on_run("outputs", models=[{"model_id": "m" * 37}]),
        on_run("outputs", models=[{"model_id": "new"}, {"model_id": "{model}"}]),
        [
            post(f"runs/{path}", {"run_id": run_id, "models": []})
            for path in ("log-inputs", "outputs")
            for run_id in ("a b", "é")
        ],
        post("runs/log-inputs", {"run_uuid": "{run}", "datasets": []}),
        get_run(),
        on_run("delete"),
        on_run("log-inputs", datasets=[{"dataset": DATASET}]),
        on_run("outputs", models=[{"model_id": "late"}]),
        get_run(),
    ),
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda item: item.name)
def test_requests(pair: Pair, script: Script) -> None:
    pair.check(script)
