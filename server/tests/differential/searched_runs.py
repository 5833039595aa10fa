"""The runs that the tests of runs/search look for, and the call that looks for them."""

from __future__ import annotations

from differential.calls import log_metric, metric, new_experiment, new_run, on_run, pair_of
from differential.harness.script import Call, post


def dataset(name: str, digest: str, context: str | None = None) -> dict[str, object]:
    tags = [] if context is None else [pair_of("mlflow.data.context", context)]
    return {"dataset": {"name": name, "digest": digest, "source_type": "local", "source": "{}"}, "tags": tags}


def search(text: str, **more: object) -> Call:
    return post("runs/search", {"experiment_ids": ["{exp}", "{two}"], "filter": text, **more})


def ordered(*clauses: str, **more: object) -> Call:
    return search("", order_by=list(clauses), **more)


# The second and the third run tie in many columns; each has its own start time, because ties end at random ids.
RUNS = [
    new_experiment(),
    new_experiment("two", save="two"),
    new_run("a", name="alpha", start_time=10, user_id="ann", tags=[pair_of("t", "x"), pair_of("only a", "1")]),
    on_run(
        "log-batch",
        "a",
        metrics=[metric("m", 1.0), metric("loss value", 0.5), metric("nan", "NaN"), metric("inf", "Infinity")],
        params=[pair_of("p", "1"), pair_of("q", "Adam"), pair_of("odd key", "it's"), pair_of("a.b", "dot")],
    ),
    on_run("log-inputs", "a", datasets=[dataset("train", "d1", "train"), dataset("test", "d2", "test")]),
    on_run("update", "a", status="FINISHED", end_time=20),
    new_run("b", name="Beta", start_time=11, user_id="bob", tags=[pair_of("t", "X"), pair_of("pct", "50%_")]),
    on_run(
        "log-batch",
        "b",
        metrics=[metric("m", 2.0), metric("nan", 0.0), metric("inf", "-Infinity")],
        params=[pair_of("p", "2"), pair_of("q", "adam"), pair_of("empty", "")],
    ),
    on_run("log-inputs", "b", datasets=[dataset("train", "d1", "train"), dataset("Train", "d3")]),
    on_run("update", "b", status="FAILED", end_time=15),
    new_run("c", name="beta 2", start_time=12, tags=[pair_of("t", "")]),
    on_run("log-batch", "c", metrics=[metric("m", 2.0), metric("m", 3.0, step=1)], params=[pair_of("p", "10")]),
    new_run("d", name="délta 😀", start_time=13, exp="two", tags=[pair_of("t", "y")]),
    log_metric("m", -1e-7, run="d"),
    new_run("gone", name="gone", start_time=14),
    log_metric("m", 1.0, run="gone"),
    on_run("delete", "gone"),
]
