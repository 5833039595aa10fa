"""runs/search: the whole filter grammar, ordering, paging, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from differential.calls import log_metric, metric, new_experiment, new_logged_model, new_run, on_run, pair_of
from differential.harness.mutations import ENUM, INTEGER, LIST, TEXT, mutations
from differential.harness.pair import Pair
from differential.harness.script import Call, Script, post, script


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

ATTRIBUTES = [
    *("", " ", "attributes.status = 'FINISHED'", "status = 'FINISHED'", "attribute.status != 'FINISHED'"),
    *(
        "attr.status = 'RUNNING'",
        "run.status = 'FAILED'",
        "status = 'finished'",
        "status LIKE 'F%'",
        "status ILIKE 'f%'",
    ),
    *('attributes.status = "FINISHED"', "`attributes`.`status` = 'FINISHED'", "attributes.`status` = 'FINISHED'"),
    *("run_name = 'alpha'", "attributes.run_name = 'alpha'", "run_name != 'alpha'", "run_name LIKE '%eta%'"),
    *("run_name ILIKE '%ETA%'", "run_name LIKE 'Beta'", "run_name ILIKE 'BETA'", "run_name IN ('alpha', 'Beta')"),
    *("`run name` = 'alpha'", "attributes.`Run name` = 'alpha'", "`Run Name` = 'alpha'", "run_name = 'délta 😀'"),
    *("user_id = 'ann'", "attributes.user_id LIKE '%n'", "user_id = ''", "User = 'ann'", "attributes.User = 'ann'"),
    *("start_time > 10", "attributes.start_time >= 11", "start_time = 12", "start_time != 12", "start_time < 11"),
    *("start_time <= '11'", "start_time > 10.5", "start_time > -1", "start_time > 1e1", "created > 10", "Created > 10"),
    *("end_time > 15", "end_time = 15", "end_time != 15", "end_time IS NULL", "end_time IS NOT NULL"),
    *("artifact_uri LIKE 'mlflow-artifacts:/%'", "artifact_uri = 'x'", "attributes.artifact_uri ILIKE '%ARTIFACTS'"),
    *("run_id = '{a}'", "attributes.run_id != '{a}'", "run_id IN ('{a}', '{b}')", "run_id NOT IN ('{a}', '{b}')"),
    *(
        "run_id IN ('{a}')",
        "run_id IN ('{a}',)",
        "run_id IN ()",
        "run_id IN ('{a}', 5)",
        "run_id IN '{a}'",
        "run_id = 5f",
    ),
    *("run_id LIKE '%'", 'attributes.run_id IN ("{a}", "{c}")', "run_id in ('{a}')", "run_id Not In ('{a}')"),
    *("status IN ('FINISHED', 'FAILED')", "status NOT IN ('FINISHED')", "user_id IN ('ann')", "start_time IN (10, 11)"),
    *(
        "lifecycle_stage = 'active'",
        "experiment_id = '{exp}'",
        "source_type = 'LOCAL'",
        "nonsense = 'x'",
        "attributes.x = 'y'",
    ),
    *("status > 'A'", "status = FINISHED", "status = 5", "start_time = 'x'", "start_time LIKE '1%'", "start_time = ''"),
    *("status IS NULL", "run_name IS NOT NULL", "source_name = ''", "source_version = ''", "dataset_name = 'train'"),
]
METRICS = [
    *(
        "metrics.m > 1",
        "metric.m > 1",
        "metrics.m >= 2.0",
        "metrics.m = 2",
        "metrics.m != 2",
        "metrics.m < 3",
        "metrics.m <= 1",
    ),
    *(
        "metrics.m = 1.0",
        "metrics.m > -1",
        "metrics.m > -0.00000001",
        "metrics.m < 1e-6",
        "metrics.m > 1.",
        "metrics.m > .5",
    ),
    *(
        "metrics.m > 1E0",
        "metrics.m > +1",
        "metrics.m > 0x1",
        "metrics.m > 1_0",
        "metrics.m > 1e400",
        "metrics.m < -1e400",
    ),
    *(
        "metrics.nan = 0",
        "metrics.nan != 0",
        "metrics.nan > -1",
        "metrics.nan < 1",
        "metrics.nan != 5",
        "metrics.nan >= 0",
    ),
    *(
        "metrics.nan = nan",
        "metrics.nan = NaN",
        "metrics.inf > 1e308",
        "metrics.inf < 0",
        "metrics.inf = inf",
        "metrics.inf > 1.7976931348623157e308",
    ),
    *("metrics.`loss value` > 0", 'metrics."loss value" > 0', "metrics.'loss value' > 0", "metrics.loss value > 0"),
    *(
        "metrics.none > 0",
        "metrics.m = '1'",
        "metrics.m = 'x'",
        "metrics.m LIKE '1'",
        "metrics.m IN (1, 2)",
        "metrics.m IS NULL",
    ),
    *(
        "metrics.nan IS NOT NULL",
        "metrics.none IS NULL",
        "metrics > 1",
        "metrics. > 1",
        "metrics.m",
        "metrics.m >",
        "metrics.m > 1 1",
    ),
    *(
        "metrics.m = true",
        "metrics.m = null",
        "1 < metrics.m",
        "metrics.m == 1",
        "metrics.m <> 1",
        "metrics.m > metrics.nan",
    ),
]
PARAMETERS = [
    *(
        "params.p = '1'",
        "param.p = '1'",
        "parameters.p = '1'",
        "parameter.p = '1'",
        'params.p = "1"',
        "params.p != '1'",
    ),
    *(
        "params.p = 1",
        "params.p > '1'",
        "params.q LIKE 'A%'",
        "params.q LIKE 'a%'",
        "params.q ILIKE 'A%'",
        "params.q ilike 'adam'",
    ),
    *(
        "params.q like '%d_m'",
        "params.q LIKE 'Ad\\_m'",
        "params.q LIKE ''",
        "params.q NOT LIKE 'A%'",
        "params.empty = ''",
    ),
    *(
        'params.`odd key` = "it\'s"',
        "params.`odd key` = 'it''s'",
        "params.`odd key` = 'it\\'s'",
        'params."odd key" LIKE "it%"',
    ),
    *("params.a.b = 'dot'", "params.`a.b` = 'dot'", 'params."a.b" = "dot"', "params.none = '1'", "params.none != '1'"),
    *(
        "params.p IS NULL",
        "params.p IS NOT NULL",
        "params.empty is null",
        "params.none IS NULL",
        "params.p IS  NOT   NULL",
    ),
    *(
        "params.p IS 'x'",
        "params.p IS NOT '1'",
        "params.p IN ('1', '2')",
        "params.p = ''",
        "params.p = `1`",
        "params.p =",
    ),
    *("params.p = '1' AND params.q = 'Adam'", "params.p = '1' and params.p = '2'", "params.p='1'AND params.q='Adam'"),
    *(
        "params.p = '1' OR params.p = '2'",
        "NOT params.p = '1'",
        "(params.p = '1')",
        "params.p = '1' AND",
        "AND params.p = '1'",
    ),
    *(
        "params.p = '1';",
        "params.p = '1'; params.q = 'x'",
        "params.p = '1' -- comment",
        "params.p = '1' /* c */",
        "params.p = '1\\'",
    ),
]
TAGS = [
    *(
        "tags.t = 'x'",
        "tag.t = 'x'",
        "tags.t != 'x'",
        "tags.t LIKE 'X'",
        "tags.t ILIKE 'X'",
        "tags.t = ''",
        "tags.t != ''",
    ),
    *(
        "tags.pct = '50%_'",
        "tags.pct LIKE '50\\%%'",
        "tags.pct LIKE '50%'",
        "tags.pct LIKE '__\\%\\_'",
        "tags.pct LIKE '50_%'",
    ),
    *(
        "tags.mlflow.runName = 'alpha'",
        "tags.`mlflow.runName` = 'alpha'",
        'tags."mlflow.runName" = "alpha"',
        "tags.runName = 'x'",
    ),
    *(
        "tags.`only a` = '1'",
        "tags.`only a` IS NULL",
        "tags.`only a` IS NOT NULL",
        "tags.none IS NULL",
        "tags.none != 'x'",
    ),
    *(
        "tags.t > 'a'",
        "tags.t = 5",
        "tags.t IN ('x', 'y')",
        "tags.t = x",
        "tags = 'x'",
        "tags. = 'x'",
        "tags.t.u = 'x'",
    ),
    *("tags.é = 'x'", "tags.`é` = 'x'", "tags.`a b c` = 'x'", "tags.'t' = 'x'", "tags.t = 'x' AND tags.`only a` = '1'"),
]
DATASETS = [
    *("dataset.name = 'train'", "datasets.name = 'train'", "dataset.name != 'train'", "dataset.name LIKE 'tr%'"),
    *(
        "dataset.name ILIKE 'TR%'",
        "dataset.digest = 'd2'",
        "dataset.digest IN ('d2', 'd3')",
        "dataset.digest NOT IN ('d1')",
    ),
    *(
        "dataset.context = 'train'",
        "dataset.context != 'train'",
        "dataset.context LIKE 't%'",
        "dataset.context IN ('test')",
    ),
    *("dataset.name = 'train' AND dataset.context = 'test'", "dataset.name = 'test' AND dataset.digest = 'd2'"),
    *("dataset.name > 'a'", "dataset.name = 5", "dataset.nonsense = 'x'", "dataset = 'x'", "dataset.name IS NULL"),
    *("dataset.name IN ('train', 'test')", "dataset.`name` = 'train'", "datasets.context ILIKE 'TRAIN'"),
]
MIXED = [
    "metrics.m > 0 AND params.q = 'Adam' AND tags.t = 'x' AND status = 'FINISHED' AND dataset.name = 'train'",
    "metrics.m > 0 and metrics.m < 2 AND metrics.`loss value` = 0.5",
    "metrics.m > 0 AND",
    "metrics.m > 0 && params.p = '1'",
    "metrics.m > 0, params.p = '1'",
    "metrics.m>0 and params.p='1'",
    "METRICS.m > 0",
    "Metrics.m > 0",
    "PARAMS.p = '1'",
    "metrics . m > 0",
    "metrics.m\n>\n0",
    "metrics.m\t> 0",
    "  metrics.m > 0  ",
    "nonsense.m > 0",
    "m > 0",
    "'metrics.m' > 0",
    "metrics.m > 0 AND ()",
    "((((",
    "'",
    '"',
    "`",
    "\u0000",
    "tags.t = 'a\u0000b'",
    "😀",
    "tags.t = '😀'",
    "SELECT 1",
    "tags.t = 'x' UNION SELECT 1",
    "tags.t = 'x'' OR 1=1'",
    "metrics.m BETWEEN 1 AND 2",
    "metrics.m > 0 AND params.p = '1' AND tags.t LIKE '%' AND params.q ILIKE '%' AND start_time > 0 AND end_time > 0",
    " AND ".join(["metrics.m > 0"] * 20),
    "tags.t = '" + "x" * 20_000 + "'",
    "tags.order = 'x'",
    "params.select = 'x'",
    "metrics.in > 1",
    "params.key = 'x'",
    "tags.values = 'x'",
    "tags.date = 'x'",
    "tags.type = 'x'",
]
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
    script("attributes", RUNS, [search(text) for text in ATTRIBUTES]),
    script("metrics", RUNS, [search(text) for text in METRICS]),
    script("parameters", RUNS, [search(text) for text in PARAMETERS]),
    script("tags", RUNS, [search(text) for text in TAGS]),
    script("datasets", RUNS, [search(text) for text in DATASETS]),
    script("mixed and malformed", RUNS, [search(text) for text in MIXED]),
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
def test_search_runs(pair: Pair, script: Script) -> None:
    pair.check(script)
