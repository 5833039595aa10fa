"""runs/search: ordering, view types, paging, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from differential.calls import new_logged_model, on_run
from differential.harness.mutations import ENUM, INTEGER, LIST, TEXT, mutations
from differential.harness.pair import Pair
from differential.harness.script import Script, post, script
from differential.searched_runs import RUNS, ordered, search

ORDERS: list[list[str]] = [
    *(
        ["metrics.m"],
        ["metrics.m ASC"],
        ["metrics.m DESC"],
        ["metrics.m desc", "start_time ASC"],
        ["metrics.`loss value`"],
    ),
    *(["metrics.nan"], ["metrics.nan DESC"], ["metrics.inf"], ["metrics.inf DESC"], ["metrics.none"]),
    *(["params.p"], ["params.p DESC"], ["params.q"], ["params.empty"], ["params.`odd key` DESC"], ["params.a.b"]),
    *(["tags.t"], ["tags.t DESC"], ["tags.`only a`"], ["tags.mlflow.runName"], ["tags.`mlflow.runName` desc"]),
    *(
        ["attributes.start_time"],
        ["start_time"],
        ["start_time DESC"],
        ["attribute.end_time"],
        ["end_time DESC"],
        ["Created"],
    ),
    *(["status"], ["attributes.status DESC", "start_time"], ["run_name"], ["`Run name`"], ["user_id"], ["User DESC"]),
    *(
        ["experiment_id"],
        ["lifecycle_stage"],
        ["dataset.name"],
    ),
    *(
        ["metrics.m", "metrics.m"],
        ["metrics.m", "metrics.m DESC"],
        ["start_time", "attributes.start_time"],
        ["Created", "start_time"],
    ),
    *(
        ["params.p", "metrics.p"],
        ["metrics.m ACS"],
        ["metrics.m ASC DESC"],
        ["metrics.m ASC, params.p"],
        ["metrics"],
        [""],
        [" "],
    ),
    *(
        ["metrics.m  DESC"],
        ["metrics.m\tDESC"],
        ["nonsense"],
        ["nonsense.x"],
        ["metrics.'m'"],
        ['metrics."m"'],
        ["asc"],
        ["DESC"],
    ),
    *(["`metrics`.`m`"], ["metrics.desc"], ["metrics.m aSc"], ["metrics.m;"], ["1"], ["*"], ["start_time NULLS FIRST"]),
]

SCRIPTS = [
    script("order", RUNS, [ordered(*clauses) for clauses in ORDERS]),
    # Made ids decide these orders, so only what is found can be compared.
    script(
        "order by made ids",
        RUNS,
        [
            replace(ordered(clause), unordered=("runs",))
            for clause in ("artifact_uri", "attributes.artifact_uri desc", "run_id", "attributes.run_id DESC")
        ],
    ),
    script(
        "view types",
        RUNS,
        [
            search("", run_view_type=view)
            for view in ("ACTIVE_ONLY", "DELETED_ONLY", "ALL", 1, 2, 3, 0, 4, "active_only")
        ],
        post("experiments/delete", {"experiment_id": "{exp}"}),
        search(""),
        search("", run_view_type="ALL"),
    ),
    script(
        "which experiments",
        RUNS,
        [
            post("runs/search", {"experiment_ids": identifiers})
            for identifiers in (
                *(
                    [],
                    ["{exp}"],
                    ["{two}"],
                    ["{exp}", "{exp}"],
                    ["999"],
                    ["{exp}", "999"],
                    ["0"],
                    ["x"],
                    ["{exp}", "x"],
                ),
                *([""], ["-1"], ["1.5"], [" {exp} "], ["99999999999"], ["9999999999999999999999"]),
            )
        ],
        post("runs/search"),
        post("runs/search", {"experiment_ids": ["{exp}"], "max_results": 1, "order_by": []}),
    ),
    script(
        "pages",
        RUNS,
        ordered("metrics.m DESC", max_results=2),
        post(
            "runs/search",
            {"experiment_ids": ["{exp}", "{two}"], "max_results": 1},
            save={"token": "next_page_token"},
        ),
        search("", max_results=1, page_token="{token}"),
        search("", max_results=3, page_token="{token}"),
        search("", max_results=4, page_token="{token}"),
        search("", max_results=4),
        search("", max_results=3),
        search("metrics.m > 0", max_results=2, page_token="{token}"),
        [search("", max_results=count) for count in (0, -1, 1, 49999, 50000, 50001, 2**31 - 1, 2**31)],
    ),
    script(
        "bad page tokens",
        RUNS,
        [
            search("", max_results=1, page_token=token)
            for token in (
                *(
                    "x",
                    "e30=",
                    "eyJvZmZzZXQiOiAxfQ==",
                    "eyJvZmZzZXQiOiAxfQ",
                    "eyJvZmZzZXQiOiAtMX0=",
                    "eyJvZmZzZXQiOiAiMSJ9",
                ),
                *(
                    "eyJvZmZzZXQiOiAxLjV9",
                    "eyJvZmZzZXQiOiBudWxsfQ==",
                    "W10=",
                    "MQ==",
                    "bnVsbA==",
                    "eyJvZmZzZXQiOiB0cnVlfQ==",
                ),
                *(
                    "eyJvZmZzZXQiOiA5OTk5OTl9",
                    "eyJvZmZzZXQiOiA5OTk5OTk5OTk5OTk5OTk5OTk5OX0=",
                    "/w==",
                    "eyJvZmZz ZXQiOiAxfQ==",
                ),
                *("é", "\u0000", "=", "eyJvZmZzZXQiOiAxLCAieCI6IDJ9", "eyJvZmZzZXQiOiBOYU59"),
            )
        ],
    ),
    script(
        "outputs and inputs of found runs",
        RUNS,
        new_logged_model("lm"),
        on_run("outputs", "a", models=[{"model_id": "{lm}", "step": 1}]),
        on_run("log-inputs", "b", models=[{"model_id": "{lm}"}]),
        search(""),
    ),
    script(
        "wrong fields",
        RUNS,
        mutations(
            "runs/search",
            {"experiment_ids": ["{exp}"], "filter": "metrics.m > 0", "order_by": ["start_time"], "max_results": 5},
            {
                "experiment_ids": LIST,
                "filter": TEXT,
                "order_by": LIST,
                "max_results": INTEGER,
                "run_view_type": ENUM,
                "page_token": TEXT,
            },
        ),
    ),
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda item: item.name)
def test_search_runs_pages(pair: Pair, script: Script) -> None:
    pair.check(script)
