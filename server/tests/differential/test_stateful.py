"""Random sequences of calls, sent to both servers: each answer must be the same, and the rows at the end."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from differential.calls import get_run, metric, new_logged_model, new_run, on_run, pair_of
from differential.harness.pair import Pair, Unequal
from differential.harness.report import render
from differential.harness.script import Call, get, post, send

KEYS = st.sampled_from(["a", "b", "c/d", "e f", "é", "bad!", "../x", ""])
VALUES = st.sampled_from(["", "x", "X", "y%_", "it's", "😀 e\u0301", "1", "None"])
NUMBERS = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, -1.0, "NaN", "Infinity", "-Infinity", 1.7976931348623157e308, 5e-324, 2**53 + 1]),
    st.floats(allow_nan=False, allow_infinity=False),
)
MOMENTS = st.integers(min_value=-1, max_value=4)
STEPS = st.one_of(st.integers(min_value=-2, max_value=3), st.sampled_from([2**63 - 1, -(2**63)]))
METRICS = st.lists(
    st.builds(
        lambda key, value, time, step: metric(key, value, timestamp=time, step=step), KEYS, NUMBERS, MOMENTS, STEPS
    ),
    max_size=6,
)
PAIRS = st.lists(st.builds(pair_of, KEYS, VALUES), max_size=4)
DATASETS = st.lists(
    st.builds(
        lambda name, digest, tags: {
            "dataset": {"name": name, "digest": digest, "source_type": "s", "source": "{}"},
            "tags": [pair_of(key) for key in tags],
        },
        st.sampled_from(["train", "test"]),
        st.sampled_from(["d1", "d2"]),
        st.lists(st.sampled_from(["mlflow.data.context", "k"]), unique=True, max_size=2),
    ),
    max_size=3,
)
OPERATORS = st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "LIKE", "ILIKE", "IS NULL", "IS NOT NULL"])
LEFT = st.sampled_from(
    [
        *(
            "metrics.a",
            "metrics.`c/d`",
            "params.a",
            "params.`e f`",
            "tags.a",
            "tags.`mlflow.runName`",
            "attributes.status",
        ),
        *("run_name", "start_time", "end_time", "user_id", "dataset.name", "dataset.context"),
    ]
)
RIGHT = st.sampled_from(["0", "1", "-1.5", "'x'", "'X'", "'%'", "''", '"it\'s"', "'FINISHED'", "'train'", "'r1'", "2"])


def clause(left: str, operator: str, right: str) -> str:
    return f"{left} {operator}" if operator.startswith("IS") else f"{left} {operator} {right}"


FILTERS = st.lists(st.builds(clause, LEFT, OPERATORS, RIGHT), max_size=3).map(" AND ".join)
ORDERS = st.lists(
    st.builds(
        lambda key, way: f"{key}{way}",
        st.sampled_from(["metrics.a", "params.a", "tags.a", "start_time", "attributes.end_time", "run_name", "status"]),
        st.sampled_from(["", " ASC", " DESC"]),
    ),
    max_size=2,
    unique_by=lambda text: text.split(" ")[0],
)
MODEL_NAMES = st.sampled_from(["m", "n", "Ö", "a/b"])
VERSIONS = st.sampled_from(["1", "2", "3", "x"])
STAGES = st.sampled_from(["None", "staging", "Production", "Archived", "x"])
ALIASES = st.sampled_from(["champion", "other", "v1", "latest", "a b"])
PLACES = st.integers(min_value=0, max_value=5)


class Calls(RuleBasedStateMachine):
    """Makes calls; knows of the servers' state only what it has created and which experiments are deleted."""

    pair: Pair

    def __init__(self) -> None:
        super().__init__()
        self.pair.begin()
        self.experiments: list[str] = []
        self.deleted: set[str] = set()
        self.runs: list[str] = []
        self.models: list[str] = []

    def teardown(self) -> None:
        findings = self.pair.row_findings()
        if findings:
            raise Unequal(render("rows after a random sequence", self.pair.dialect, findings))

    def call(self, call: Call) -> None:
        finding = self.pair.step(call)
        if finding is not None:
            raise Unequal(render("random sequence", self.pair.dialect, [finding]))

    def pick(self, names: list[str], place: int) -> str:
        return names[place % len(names)]

    @rule(tags=PAIRS.filter(lambda tags: all(tag["key"] in ("a", "b", "é") for tag in tags)))
    def create_experiment(self, tags: list[dict[str, object]]) -> None:
        name = f"e{len(self.experiments)}"
        unique = list({str(tag["key"]): tag for tag in tags}.values())
        self.experiments.append(name)
        self.call(post("experiments/create", {"name": name, "tags": unique}, save={name: "experiment_id"}))

    @precondition(lambda self: self.experiments)
    @rule(
        place=PLACES,
        verb=st.sampled_from(["delete", "restore", "update", "set-experiment-tag"]),
        key=KEYS,
        value=VALUES,
    )
    def change_experiment(self, place: int, verb: str, key: str, value: str) -> None:
        name = self.pick(self.experiments, place)
        if verb == "delete":
            self.deleted.add(name)
        if verb == "restore":
            self.deleted.discard(name)
        new_name = f"{name} renamed" if value else name
        body = {"experiment_id": f"{{{name}}}", "new_name": new_name, "key": key, "value": value}
        self.call(post(f"experiments/{verb}", body))

    @precondition(lambda self: self.experiments)
    @rule(place=PLACES)
    def create_run(self, place: int) -> None:
        experiment = self.pick(self.experiments, place)
        number = len(self.runs) + 1
        call = new_run(f"r{number}", name=f"r{number}", start_time=number, exp=experiment)
        if experiment in self.deleted:
            self.call(post(call.path, call.body))
        else:
            self.runs.append(f"r{number}")
            self.call(call)

    @precondition(lambda self: self.runs)
    @rule(place=PLACES, verb=st.sampled_from(["delete", "restore"]))
    def delete_or_restore_run(self, place: int, verb: str) -> None:
        self.call(on_run(verb, self.pick(self.runs, place)))

    @precondition(lambda self: self.runs)
    @rule(place=PLACES, status=st.sampled_from(["FINISHED", "FAILED", "RUNNING", "x"]), moment=MOMENTS, name=VALUES)
    def update_run(self, place: int, status: str, moment: int, name: str) -> None:
        self.call(on_run("update", self.pick(self.runs, place), status=status, end_time=moment, run_name=name))

    @precondition(lambda self: self.runs)
    @rule(place=PLACES, one=METRICS.filter(bool).map(lambda metrics: metrics[0]))
    def log_metric(self, place: int, one: dict[str, object]) -> None:
        self.call(on_run("log-metric", self.pick(self.runs, place), **one))

    @precondition(lambda self: self.runs)
    @rule(place=PLACES, metrics=METRICS, params=PAIRS, tags=PAIRS)
    def log_batch(
        self,
        place: int,
        metrics: list[dict[str, object]],
        params: list[dict[str, object]],
        tags: list[dict[str, object]],
    ) -> None:
        self.call(on_run("log-batch", self.pick(self.runs, place), metrics=metrics, params=params, tags=tags))

    @precondition(lambda self: self.runs)
    @rule(place=PLACES, verb=st.sampled_from(["log-parameter", "set-tag", "delete-tag"]), key=KEYS, value=VALUES)
    def one_pair(self, place: int, verb: str, key: str, value: str) -> None:
        self.call(on_run(verb, self.pick(self.runs, place), key=key, value=value))

    @precondition(lambda self: self.runs)
    @rule(place=PLACES, datasets=DATASETS)
    def log_inputs(self, place: int, datasets: list[dict[str, object]]) -> None:
        self.call(on_run("log-inputs", self.pick(self.runs, place), datasets=datasets))

    @precondition(lambda self: self.runs)
    @rule(place=PLACES, key=KEYS, size=st.sampled_from(["1", "2", "100"]))
    def read_run(self, place: int, key: str, size: str) -> None:
        run = self.pick(self.runs, place)
        self.call(get_run(run))
        self.call(get("metrics/get-history", {"run_id": f"{{{run}}}", "metric_key": key, "max_results": size}))

    @precondition(lambda self: self.experiments)
    @rule(text=FILTERS, order=ORDERS, size=st.sampled_from([1, 2, 100]), view=st.sampled_from(["ACTIVE_ONLY", "ALL"]))
    def search_runs(self, text: str, order: list[str], size: int, view: str) -> None:
        body = {"filter": text, "order_by": order, "max_results": size, "run_view_type": view}
        self.call(post("runs/search", {"experiment_ids": [f"{{{name}}}" for name in self.experiments], **body}))

    @rule(
        view=st.sampled_from(["ACTIVE_ONLY", "DELETED_ONLY", "ALL"]),
        text=st.sampled_from(["", "name LIKE 'e%'", "tags.a = 'x'"]),
    )
    def search_experiments(self, view: str, text: str) -> None:
        self.call(post("experiments/search", {"max_results": 3, "view_type": view, "filter": text}))

    @rule(name=MODEL_NAMES, tags=PAIRS)
    def create_model(self, name: str, tags: list[dict[str, object]]) -> None:
        self.call(post("registered-models/create", {"name": name, "tags": tags}))

    @rule(name=MODEL_NAMES, tags=PAIRS)
    def create_version(self, name: str, tags: list[dict[str, object]]) -> None:
        self.call(post("model-versions/create", {"name": name, "source": "s3://bucket/model", "tags": tags}))

    @rule(name=MODEL_NAMES, version=VERSIONS, stage=STAGES, archive=st.booleans())
    def transition(self, name: str, version: str, stage: str, archive: bool) -> None:
        # Stock on PostgreSQL compares an integer with text here, and refuses every archiving.
        archive = archive and self.pair.dialect == "sqlite"
        body = {"name": name, "version": version, "stage": stage, "archive_existing_versions": archive}
        self.call(post("model-versions/transition-stage", body))

    @rule(name=MODEL_NAMES, version=VERSIONS, alias=ALIASES, method=st.sampled_from(["POST", "DELETE"]))
    def alias(self, name: str, version: str, alias: str, method: str) -> None:
        self.call(send(method, "registered-models/alias", {"name": name, "alias": alias, "version": version}))
        self.call(get("registered-models/alias", {"name": name, "alias": alias}))

    @rule(
        name=MODEL_NAMES,
        version=VERSIONS,
        key=KEYS,
        value=VALUES,
        family=st.sampled_from(["registered-models", "model-versions"]),
    )
    def tag_model(self, name: str, version: str, key: str, value: str, family: str) -> None:
        body = {"name": name, "version": version, "key": key, "value": value}
        self.call(post(f"{family}/set-tag", body))
        if value == "x":
            self.call(send("DELETE", f"{family}/delete-tag", body))

    @rule(
        name=MODEL_NAMES, new_name=MODEL_NAMES, version=VERSIONS, verb=st.sampled_from(["rename", "version", "model"])
    )
    def rename_or_delete_model(self, name: str, new_name: str, version: str, verb: str) -> None:
        if verb == "rename":
            self.call(post("registered-models/rename", {"name": name, "new_name": new_name}))
        elif verb == "version":
            self.call(send("DELETE", "model-versions/delete", {"name": name, "version": version}))
        else:
            self.call(send("DELETE", "registered-models/delete", {"name": name}))

    @rule(text=st.sampled_from(["", "name LIKE '%'", "tags.a = 'x'", "name = 'm'"]))
    def search_models(self, text: str) -> None:
        self.call(get("registered-models/search", {"filter": text}))
        self.call(get("model-versions/search", {"filter": text}))

    @precondition(lambda self: self.experiments)
    @rule(place=PLACES)
    def create_logged_model(self, place: int) -> None:
        experiment = self.pick(self.experiments, place)
        number = len(self.models) + 1
        call = new_logged_model(f"lm{number}", name=f"lm{number}", exp=experiment)
        if experiment in self.deleted:
            self.call(post(call.path, call.body))
        else:
            self.models.append(f"lm{number}")
            self.call(call)

    @precondition(lambda self: self.models)
    @rule(place=PLACES, verb=st.sampled_from(["finalize", "tags", "params", "delete"]), pairs=PAIRS)
    def change_logged_model(self, place: int, verb: str, pairs: list[dict[str, object]]) -> None:
        model = f"{{{self.pick(self.models, place)}}}"
        path = f"logged-models/{model}"
        if verb == "finalize":
            self.call(send("PATCH", path, {"model_id": model, "status": "LOGGED_MODEL_READY"}))
        elif verb == "tags":
            self.call(send("PATCH", f"{path}/tags", {"tags": pairs}))
        elif verb == "params":
            self.call(post(f"{path}/params", {"model_id": model, "params": pairs}))
        else:
            self.call(send("DELETE", path))
        self.call(get(path, {"allow_deleted": "true"}))
        self.call(post("logged-models/search", {"experiment_ids": [f"{{{name}}}" for name in self.experiments]}))


def explore(pair: Pair, examples: int, steps: int) -> None:
    """Runs ``examples`` sequences of up to ``steps`` rules, the same ones in every run."""
    machine = type("CallsOnThePair", (Calls,), {"pair": pair})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_random_sequences(pair: Pair) -> None:
    explore(pair, examples=8, steps=25)


@pytest.mark.slow
def test_many_random_sequences(pair: Pair) -> None:
    explore(pair, examples=150, steps=50)
