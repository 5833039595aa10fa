"""Metric histories: get-history with its pages, get-history-bulk, get-history-bulk-interval."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from differential.calls import log_metric, metric, new_experiment, new_run, on_run
from differential.harness.pair import Pair
from differential.harness.script import AJAX, Call, Script, get, script, send

FAR = "0" * 32
SETUP = [
    new_experiment(),
    new_run(),
    new_run("other", start_time=2),
    on_run(
        "log-batch", metrics=[metric("m", number / 4, timestamp=1_000 - number, step=number) for number in range(10)]
    ),
    on_run("log-batch", metrics=[metric("m", float(number), timestamp=995, step=5) for number in (3, 1, 2)]),
    on_run(
        "log-batch", metrics=[metric("m", value, timestamp=994, step=6) for value in ("NaN", "Infinity", "-Infinity")]
    ),
    on_run("log-batch", "other", metrics=[metric("m", float(number), step=number * 10) for number in range(7)]),
    log_metric("ends", 1.0, timestamp=2**63 - 1, step=-(2**63)),
    log_metric("ends", -1.0, timestamp=0, step=2**63 - 1),
    log_metric("same", "NaN", timestamp=1),
    log_metric("same", 0.0, timestamp=1),
]
LONG = [
    new_experiment(),
    new_run(),
    *(
        on_run("log-batch", metrics=[metric("m", number / 3, timestamp=number, step=number // 2) for number in batch])
        for batch in (range(0, 1000), range(1000, 2000), range(2000, 2600))
    ),
    on_run("log-batch", metrics=[metric("flat", number / 7, timestamp=number) for number in range(600)]),
]


def history(run: str = "{run}", key: str = "m", **more: str) -> Call:
    return get("metrics/get-history", {"run_id": run, "metric_key": key, **more})


def any_order(call: Call) -> Call:
    """NaN is stored as 0, so nothing decides between a NaN and a 0 of the same moment."""
    return replace(call, unordered=("metrics",))


def bulk(runs: list[str], key: str = "m", **more: str) -> Call:
    query = [*(("run_id", run) for run in runs), ("metric_key", key), *more.items()]
    return get(f"{AJAX}metrics/get-history-bulk", query)


def interval(runs: list[str], key: str = "m", **more: str) -> Call:
    query = [*(("run_ids", run) for run in runs), ("metric_key", key), *more.items()]
    return get(f"{AJAX}metrics/get-history-bulk-interval", query)


def token_of(offset: object) -> str:
    return base64.b64encode(json.dumps({"offset": offset}).encode()).decode()


NUMBERS = (
    "",
    "0",
    "-1",
    "1",
    "3",
    "1.0",
    "1.5",
    "1e2",
    "x",
    " 3",
    "+3",
    "2147483647",
    "2147483648",
    "true",
    "٣",
    "1_0",
)

SCRIPTS = [
    script(
        "whole histories",
        SETUP,
        [history(key=key) for key in ("m", "ends", "none", "", "bad!", "é")],
        any_order(history(key="same")),
        history(FAR),
        history(""),
        get("metrics/get-history"),
        get("metrics/get-history", {"run_id": "{run}"}),
        get("metrics/get-history", {"metric_key": "m"}),
        get("metrics/get-history", {"run_uuid": "{run}", "metric_key": "m"}),
        get("metrics/get-history", {"run_id": "{run}", "run_uuid": FAR, "metric_key": "m"}),
        get("metrics/get-history", [("run_id", "{run}"), ("run_id", FAR), ("metric_key", "m")]),
        get(f"{AJAX}metrics/get-history", {"run_id": "{run}", "metric_key": "m"}),
        on_run("delete"),
        history(),
    ),
    script(
        "pages",
        SETUP,
        get(
            "metrics/get-history",
            {"run_id": "{run}", "metric_key": "m", "max_results": "3"},
            save={"token": "next_page_token"},
        ),
        history(max_results="3", page_token="{token}"),
        history(max_results="1000", page_token="{token}"),
        history(page_token="{token}"),
        history(key="none", max_results="3", page_token="{token}"),
        [history(max_results=str(count)) for count in (15, 16, 17)],
        [history(max_results=count) for count in NUMBERS],
        [history(max_results="3", page_token=token) for token in ("", "x", "W10=", "eyJvZmZzZXQiOiAtMX0=", "é")],
        [history(page_token=token) for token in ("eyJvZmZzZXQiOiAxfQ==", "eyJvZmZzZXQiOiAiMSJ9")],
    ),
    script(
        "bulk",
        SETUP,
        bulk(["{run}"]),
        bulk(["{run}", "{run}"]),
        bulk([]),
        bulk([FAR]),
        bulk(["{run}", FAR]),
        any_order(bulk(["{run}"], "same")),
        bulk(["{run}"], "ends"),
        bulk(["{run}"], "none"),
        bulk(["{run}"], ""),
        get(f"{AJAX}metrics/get-history-bulk", {"run_id": "{run}"}),
        get(f"{AJAX}metrics/get-history-bulk", {"metric_key": "m"}),
        get(f"{AJAX}metrics/get-history-bulk"),
        bulk([FAR] * 100),
        bulk([FAR] * 101),
        [bulk(["{run}"], max_results=count) for count in NUMBERS],
        bulk(["{run}"], max_results="25000"),
        bulk(["{run}"], max_results="25001"),
    ),
    script(
        "bulk interval",
        SETUP,
        interval(["{run}"]),
        interval(["{run}", "{other}"]),
        interval(["{other}", "{run}"], max_results="4"),
        interval(["{run}", "{run}"], max_results="2"),
        interval([FAR]),
        interval([]),
        interval(["{run}"], "same"),
        interval(["{run}"], "ends"),
        interval(["{run}"], "none"),
        interval(["{run}"], ""),
        get(f"{AJAX}metrics/get-history-bulk-interval"),
        get(f"{AJAX}metrics/get-history-bulk-interval", {"run_ids": "{run}"}),
        interval([FAR] * 100),
        interval([FAR] * 101),
        [interval(["{run}"], max_results=count) for count in (*NUMBERS, "2", "5", "7", "2500", "2501")],
        [
            interval(["{run}", "{other}"], start_step=first, end_step=last)
            for first, last in (
                *(("0", "5"), ("5", "5"), ("5", "6"), ("6", "5"), ("-10", "100"), ("x", "5"), ("1", "y"), ("", "")),
                *(("1.0", "5"), ("0", "2147483647"), ("0", "2147483648"), ("-2147483649", "5"), ("100", "200")),
            )
        ],
        interval(["{run}"], start_step="1"),
        interval(["{run}"], end_step="5"),
        interval(["{run}"], start_step="1", end_step="8", max_results="3"),
        get("metrics/get-history-bulk-interval", [("run_ids", "{run}"), ("metric_key", "m")]),
        get(f"{AJAX}metrics/get-history-bulk-interval", {"run_id": "{run}", "metric_key": "m"}),
    ),
    script(
        "odd requests",
        SETUP,
        [
            send("GET", path, {**body, "metric_key": "m"}, query=query)
            for path, body in (
                ("metrics/get-history", {"run_id": "{run}", "max_results": 3}),
                ("metrics/get-history", {"run_uuid": "{run}", "maxResults": "3"}),
                ("metrics/get-history", {"run_id": 1}),
                ("metrics/get-history-bulk-interval", {"run_ids": ["{run}"], "max_results": 3}),
                ("metrics/get-history-bulk-interval", {"run_ids": ["{run}"], "max_results": 0}),
                ("metrics/get-history-bulk-interval", {"run_ids": ["{run}"], "max_results": 2501}),
                ("metrics/get-history-bulk-interval", {"run_ids": ["{run}"] * 101}),
                ("metrics/get-history-bulk-interval", {"run_ids": []}),
                ("metrics/get-history-bulk-interval", {"run_ids": "{run}"}),
                ("metrics/get-history-bulk-interval", {"run_ids": ["{run}"], "start_step": 1}),
            )
            for query in ([], [("run_ids", "{run}"), ("run_id", "{run}"), ("metric_key", "m"), ("max_results", "2")])
        ],
        [history(max_results="3", page_token=token_of(offset)) for offset in (2**31, 2**63 - 1, 2**63, "2", 1.5)],
        [bulk(["{run}"], max_results=str(count)) for count in (-(2**31), -(2**63), -(2**63) - 1, 2**70)],
        [
            interval(["{run}", "{other}"], start_step=str(first), end_step=str(last))
            for first, last in ((-(2**63), 2**63 - 1), (-(2**63) - 1, 5), (0, 2**63), (2**70, 2**71))
        ],
        [get(f"metrics/{name}", {"run_id": "{run}\0", "metric_key": "m"}) for name in ("get-history",)],
        bulk(["{run}"], "m\0"),
        interval(["{run}"], "m\0"),
        interval(["{run}\0"]),
        send("HEAD", f"{AJAX}metrics/get-history-bulk", query=[("run_id", "{run}"), ("metric_key", "m")]),
    ),
    script(
        "long histories",
        LONG,
        history(max_results="1000"),
        [
            interval(["{run}"], key, max_results=count)
            for key in ("m", "flat")
            for count in ("1", "2", "320", "599", "600")
        ],
        interval(["{run}"]),
        interval(["{run}"], max_results="2500"),
        interval(["{run}"], start_step="100", end_step="900", max_results="77"),
        bulk(["{run}"], max_results="2000"),
    ),
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda item: item.name)
def test_metric_history(pair: Pair, script: Script) -> None:
    pair.check(script)
