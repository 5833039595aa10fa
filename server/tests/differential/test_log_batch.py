"""runs/log-batch: limits, duplicates, rewritten parameters, and what is left behind when a part of it is refused."""

from __future__ import annotations

import pytest

from differential.calls import get_run, log_metric, metric, new_experiment, new_run, on_run, pair_of
from differential.harness.mutations import FLOAT, INTEGER, LIST, TEXT, mutations
from differential.harness.pair import Pair
from differential.harness.script import Script, post, script, send

SETUP = [new_experiment(), new_run()]


def metrics(count: int) -> list[dict[str, object]]:
    return [metric(f"m{number}", float(number), step=number) for number in range(count)]


def pairs(count: int, letter: str = "k") -> list[dict[str, object]]:
    return [pair_of(f"{letter}{number}", str(number)) for number in range(count)]


SCRIPTS = [
    script(
        "everything at once",
        *SETUP,
        on_run("log-batch", metrics=metrics(3), params=pairs(3), tags=pairs(3)),
        get_run(),
        on_run("log-batch", metrics=metrics(4), params=pairs(4), tags=pairs(4, "t")),
        get_run(),
        on_run("log-batch"),
        on_run("log-batch", metrics=[], params=[], tags=[]),
    ),
    script(
        "limits",
        *SETUP,
        on_run("log-batch", metrics=metrics(1000)),
        on_run("log-batch", metrics=metrics(1001)),
        on_run("log-batch", params=pairs(100)),
        on_run("log-batch", params=pairs(101)),
        on_run("log-batch", tags=pairs(100)),
        on_run("log-batch", tags=pairs(101)),
        on_run("log-batch", metrics=metrics(800), params=pairs(100), tags=pairs(100)),
        on_run("log-batch", metrics=metrics(801), params=pairs(100), tags=pairs(100)),
        get_run(),
    ),
    script(
        "lengths",
        *SETUP,
        on_run("log-batch", metrics=[metric("k" * 250)], params=[pair_of("k" * 250)], tags=[pair_of("k" * 250)]),
        on_run("log-batch", metrics=[metric("k" * 251)]),
        on_run("log-batch", metrics=[metric("ok"), metric("k" * 251)]),
        on_run("log-batch", params=[pair_of("k" * 251)]),
        on_run("log-batch", tags=[pair_of("k" * 251)]),
        on_run("log-batch", params=[pair_of("p", "v" * 6000)], tags=[pair_of("t", "v" * 8000)]),
        on_run("log-batch", params=[pair_of("q", "v" * 6001)], tags=[pair_of("u", "v" * 8001)]),
        on_run("log-batch", params=[pair_of("q", "v" * 6002)]),
        get_run(),
    ),
    script(
        "duplicates",
        *SETUP,
        on_run("log-batch", metrics=[metric("m"), metric("m"), metric("m", 2.0), metric("m", 1.0, step=1)]),
        on_run("log-batch", metrics=[metric("m", "NaN"), metric("m", "NaN"), metric("m", "Infinity")]),
        on_run("log-batch", metrics=[metric("z", 0.0), metric("z", -0.0)]),
        on_run("log-batch", metrics=[metric("y", -0.0), metric("y", 0.0)]),
        on_run("log-batch", params=[pair_of("p", "1"), pair_of("p", "1")]),
        on_run("log-batch", params=[pair_of("p", "1"), pair_of("p", "2"), pair_of("q"), pair_of("q")]),
        on_run("log-batch", tags=[pair_of("t", "1"), pair_of("t", "2"), pair_of("t", "3")]),
        on_run("log-batch", tags=[pair_of("t", "4"), pair_of("u"), pair_of("t", "5")]),
        get_run(),
    ),
    script(
        "rewritten parameters",
        *SETUP,
        on_run("log-batch", params=[pair_of("a", "1"), pair_of("b", "2")]),
        on_run("log-batch", params=[pair_of("a", "1"), pair_of("b", "2")]),
        on_run("log-batch", params=[pair_of("a", "x"), pair_of("b", "y"), pair_of("c", "3")]),
        on_run("log-batch", params=[pair_of("a", "it's"), pair_of("c", "3")], metrics=metrics(2), tags=pairs(2)),
        on_run("log-batch", params=[pair_of("b", "q\"u'o\\te\n😀")]),
        get_run(),
    ),
    script(
        "what a refused part leaves behind",
        *SETUP,
        on_run("log-batch", params=[pair_of("a", "1")]),
        on_run("log-batch", metrics=[metric("m"), metric("bad!")], params=[pair_of("p1")], tags=[pair_of("t1")]),
        on_run("log-batch", metrics=[metric("m")], params=[pair_of("p2"), pair_of("bad!")], tags=[pair_of("t2")]),
        on_run("log-batch", metrics=[metric("m")], params=[pair_of("p3")], tags=[pair_of("t3"), pair_of("bad!")]),
        on_run("log-batch", metrics=[metric("m", timestamp=-1)], params=[pair_of("p4")], tags=[pair_of("t4")]),
        on_run("log-batch", metrics=metrics(2), params=[pair_of("a", "2"), pair_of("p5")], tags=[pair_of("t5")]),
        get_run(),
    ),
    script(
        "the latest metric of a batch",
        *SETUP,
        on_run(
            "log-batch",
            metrics=[
                metric("m", 1.0, timestamp=5, step=1),
                metric("m", 3.0, timestamp=5, step=1),
                metric("m", 2.0, timestamp=9, step=0),
                metric("n", "NaN", timestamp=1, step=1),
                metric("n", 5.0, timestamp=1, step=1),
                metric("o", 5.0, timestamp=1, step=1),
                metric("o", "NaN", timestamp=1, step=1),
                metric("i", "-Infinity", timestamp=1, step=1),
                metric("i", -1e308, timestamp=1, step=1),
            ],
        ),
        get_run(),
        log_metric("m", 9.0, timestamp=4, step=1),
        on_run("log-batch", metrics=[metric("m", 4.0, timestamp=5, step=1), metric("m", 0.0, timestamp=6, step=1)]),
        get_run(),
    ),
    script(
        "missing parts of entities",
        *SETUP,
        on_run("log-batch", metrics=[{"value": 1.0, "timestamp": 1}]),
        on_run("log-batch", metrics=[{"key": "m", "timestamp": 1}]),
        on_run("log-batch", metrics=[{"key": "m", "value": 1.0}]),
        on_run("log-batch", metrics=[{"key": "m", "value": 1.0, "timestamp": 1}]),
        on_run("log-batch", metrics=[metric("ok"), {}]),
        on_run("log-batch", params=[{"value": "v"}]),
        on_run("log-batch", params=[{"key": "p"}]),
        on_run("log-batch", params=[pair_of("ok"), {}]),
        on_run("log-batch", tags=[{"value": "v"}]),
        on_run("log-batch", tags=[{"key": "t"}]),
        on_run("log-batch", tags=[pair_of("ok"), {}]),
        on_run("log-batch", metrics=[{"key": "", "value": 1.0, "timestamp": 1}]),
        on_run("log-batch", metrics=[{"key": "m", "value": None, "timestamp": 1}]),
        on_run("log-batch", metrics=[{"key": "m", "value": "", "timestamp": 1}]),
        get_run(),
    ),
    script(
        "wrong fields",
        *SETUP,
        mutations(
            "runs/log-batch",
            {"run_id": "{run}", "metrics": [metric("m")], "params": [pair_of("p")], "tags": [pair_of("t")]},
            {
                "run_id": TEXT,
                "metrics": LIST,
                "metrics.0.key": TEXT,
                "metrics.0.value": FLOAT,
                "metrics.0.timestamp": INTEGER,
                "metrics.0.step": INTEGER,
                "params": LIST,
                "params.0.key": TEXT,
                "params.0.value": TEXT,
                "tags": LIST,
                "tags.0.key": TEXT,
                "tags.0.value": TEXT,
            },
        ),
        get_run(),
    ),
    script(
        "the run id",
        *SETUP,
        [
            post("runs/log-batch", {"run_id": run, "tags": [pair_of("t")]})
            for run in ("", "x", "0" * 32, "a b", "-a", "a" * 256, "a" * 257, "é", "{run}\n", "{run}/", "_{run}")
        ],
        post("runs/log-batch", {"runId": "{run}", "tags": [pair_of("t")]}),
        post("runs/log-batch", {"run_uuid": "{run}", "tags": [pair_of("t")]}),
    ),
    script(
        "a large body",
        *SETUP,
        send(
            "POST",
            "runs/log-batch",
            raw=b'{"run_id": "{run}", "tags": [{"key": "t", "value": "' + b"v" * 1_100_000 + b'"}]}',
        ),
        on_run("log-batch", tags=[pair_of(f"t{number}", "é" * 8000) for number in range(100)]),
        get_run(),
    ),
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda item: item.name)
def test_log_batch(pair: Pair, script: Script) -> None:
    pair.check(script)
