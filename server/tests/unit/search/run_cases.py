"""Filters and orders for searching runs, sorted by what stock MLflow makes of them."""

from __future__ import annotations

from unit.search import samples

_TEXTS = ("params.p", "tags.t", "attributes.user_id", "run_name")
_PATTERNS = (
    "plain", "Plain", "a%b", "a_b", "a*b", "%", "_%", "a[b]c", "[x]", "back\\\\slash", "ün%", "ÜN%", "A?B", "",
)  # fmt: skip
TEXT_TESTS = [
    *(f"{left} {comparator} '{value}'" for left in _TEXTS for comparator in ("=", "!=") for value in ("Plain", "a_b")),
    *(f"{left} LIKE '{pattern}'" for left in _TEXTS[:2] for pattern in _PATTERNS),
    *(f"{left} ilike '{pattern}'" for left in _TEXTS[1:3] for pattern in _PATTERNS),
    *(f"run_name {comparator} '{pattern}'" for comparator in ("like", "ILIKE") for pattern in ("PL%", "a_b", "%ü%")),
]
_COMPARATORS = ("=", "!=", ">", ">=", "<", "<=")
NUMBER_TESTS = [
    *(f"metrics.m {comparator} {value}" for comparator in _COMPARATORS for value in ("0", "-1.5", "1e308", "1e400")),
    *(
        f"attribute.end_time {comparator} {value}"
        for comparator in _COMPARATORS
        for value in ("2001", "2000.5", "-1e400")
    ),
    *(f"start_time {comparator} 1001" for comparator in _COMPARATORS),
    "metrics.`a b.c` > 9007199254740991",
]
OTHER_TESTS = [
    "",
    'params.p = "it\'s"',
    "params.p = 'say \"hi\"'",
    "params.p = '`tick`'",
    "params.p = 'new\nline'",
    "params.p LIKE 'new%line'",
    "param.p = 'plain' AND tag.t = 'plain'",
    "parameters.p = 'plain' and tags.t = 'plain'",
    "params.\"p\" = 'plain'",
    "params.`p` = 'plain'",
    "params.created = 'alias'",
    "tags.created IS NULL",
    "params.created IS NOT NULL",
    "metrics.created > 3",
    "metric.Created > 3",
    "tags.t IS NULL",
    "tags.t is not null",
    "params.p IS NULL AND tags.t IS NOT NULL",
    "tags.nothing IS NULL",
    "tags.`with space` = 'xx'",
    "tags.\"with space\" != 'xx'",
    "created > 1001",
    "attr.Created = 1002",
    "run.start_time = 1002 AND start_time < 1003",
    "`run name` = 'plain'",
    "attribute.`Run name` = 'PLAIN'",
    "attributes.\"Run Name\" LIKE 'P%'",
    "tags.mlflow.runName = 'plain'",
    "tags.`mlflow.runName` ILIKE 'PL%'",
    "status = 'RUNNING'",
    "attributes.status != 'running'",
    "status ILIKE 'running'",
    "artifact_uri LIKE '%artifacts'",
    "artifact_uri != 'x'",
    f"run_id = '{samples.RUN_IDS[4]}'",
    f"run_id IN ('{samples.RUN_IDS[4]}', '{samples.RUN_IDS[5]}', 'none')",
    f"attribute.run_id in ('{samples.RUN_IDS[4]}')",
    f"run_id NOT IN ('{samples.RUN_IDS[4]}', \"{samples.RUN_IDS[5]}\") AND start_time = 1000",
    f"run_id not in ('{samples.RUN_IDS[4]}')",
    "run_id LIKE '000%1'",
    "dataset.name = 'data0'",
    "datasets.name LIKE 'DATA%'",
    "dataset.name ILIKE 'DATA%'",
    "dataset.name != 'data0'",
    "dataset.digest IN ('digest1', 'digest0')",
    "dataset.digest NOT IN ('digest1')",
    "dataset.name IN ('data1') AND dataset.context = 'Train'",
    "dataset.context = 'train'",
    "dataset.context ILIKE 'train'",
    "dataset.context != 'eval'",
    "dataset.context NOT IN ('Train')",
    "dataset.context IN ('Train', 'eval') AND metrics.m > 0 AND params.p != 'plain'",
    "metrics.m != 1 AND metrics.m > 0 AND metrics.m <= 1e308",
    "metrics.m=1",
    "params.p='plain'AND tags.t='plain'",
    "metrics.m\t>\n0",
    "metrics.m > 0 -- comment",
    "params.p = 'a'; ",
    "params.p = 'x' OR 1=1",
    "params.p = ''' OR 1=1 --'",
    "params.p = 'x\\'",
    "params.p = 'x'); DROP TABLE runs; --'",
    "params.`x' OR '1'='1` = 'plain'",
    "params.p = '" + "x" * 9000 + "'",
    " AND ".join(["params.p != 'x'"] * 30),
]
BAD = [
    " ", "\n", "(", ")", "()", "'", '"', "`", ";", ";;", "AND", "OR", "NOT", "1", "'a'", "1 = 1", "'a' = 'b'",
    "a = b = c", "params", "params.p", "params.p =", "= 'x'", "params.p 'x'", "params.p = x", "params.p = `x`",
    "params.p = 5", "params.p = ('x')", "params.p IN ('x')", "params.p > 'x'", "params.p BETWEEN 'a' AND 'b'",
    "params.p == 'x'", "params.p <> 'x'", "params.p = 'x' OR params.p = 'y'", "(params.p = 'x')",
    "(params.p = 'x' AND metrics.m > 1)", "NOT params.p = 'x'", "params.p = 'x' params.p = 'y'", "params.p = 'x',",
    "params.p = 'x' AND", "AND params.p = 'x'", "params.p = 'x' AND AND params.p = 'y'",
    "params.p = 'x'; params.q = 'y'", "params.p = 'x", "params.p = \"x", "params.`p = 'x'", "metrics.m = 'x'",
    "metrics.m = x", "metrics.m = 0x1f", "metrics.m LIKE 1", "metrics.m IN (1)", "metrics.m IS NULL",
    "metrics.m = NaN", "metrics.m = inf", "metrics.m = - 1", "metrics.m = 1 + 1", "metrics.m is 1",
    "start_time = 'x'", "start_time LIKE 5", "start_time IN (1)", "start_time IS NULL", "start_time ilike 5",
    "run_id = 5", "run_id IN ()", "run_id IN (1)", "run_id IN ('a', 1)", "run_id IN ('a'", "run_id IN 'a'",
    "run_id IN ('a',,'b')", "run_id IN ('a' 'b')", "run_id IN (\"it's\", 'b')", "run_id IN ((('a')))", "run_id > 'a'",
    "run_id BETWEEN 'a' AND 'b'", "status IN ('RUNNING')", "status = RUNNING", "status > 'a'", "user_id IS NULL",
    "unknown = 'x'", "attributes.x = 'x'", "foo.bar = 'x'", "`foo`.bar = 'x'", "`params`.p = 'x'", "Params.p = 'x'",
    "lifecycle_stage = 'active'", "experiment_id = '1'", "dataset.foo = 'x'", "dataset.name = 5",
    "dataset.name > 'x'", "dataset.name IS NULL", "dataset.name IN (5)", "dataset.context IN ()", "dataset = 'x'",
    "tags.t >= 'x'", "tags.t IN ('x')", "tags. = 'x'", "tags.'t' = 'x'", ".t = 'x'", "params..p = 'x'",
    "tags.t NOT LIKE 'x'", "tags.t IS 'x'", "tags.t NOT NULL", "timestamp > 5", "name = 'x'", "mlflow.runName = 'x'",
    "params.p /* c */ = 'x'", "params.p = 'x' /* c */", "# x", "a b c run_id IN ('x')", "a b run_id NOT IN ('x') c",
    "run_id run_id IN ('x')", "{'a': 1} = 'x'", "$$ = 'x'", "params.p = 'x' AND run_id IN ('x') x y",
    "CASE WHEN 1 THEN 2 END = 3", "SELECT * FROM runs", "DROP TABLE runs", "run_id IN (\"\\x\")",
    "run_id NOT IN ('a') AND status", "tags.t IS NOT  NULL", "run_id IN ('a','b') = 'c'",
]  # fmt: skip
CRASHING = [
    "run_id IN (a)", "run_id IN ('a' + 'b')", "run_id IN (len('a'))", "start_time > " + "9" * 5000,
    "params.p = '\ud800'", "run_id IN ('\ud800')", "tags.`\ud800` IS NULL",
]  # fmt: skip
"""What stock answers with a 500 on either database."""
CRASHING_ON_SQLITE = [
    "start_time > 99999999999999999999",
    "end_time = -99999999999999999999",
    "params.p LIKE '" + "x" * 60_000 + "'",
]
REFUSED_BY_SQLITE = ["run_id = ('a','b')", "run_id LIKE ('a')", "dataset.name != ('a')"]
"""PostgreSQL compares these lists as the text (a,b), which is no less wrong; we refuse them on both."""
REFUSED_BY_POSTGRESQL = [
    "start_time > 99999999999999999999",
    "params.p = 'a\0b'",
    "tags.`a\0b` IS NULL",
    "run_id LIKE '%\\'",
]

ORDERS = [
    [], ["start_time"], ["start_time DESC"], ["start_time ASC", "run_id desc"], ["created"], ["Created DESC"],
    ["end_time"], ["end_time DESC"], ["attributes.end_time Asc", "attribute.status DESC"], ["run_name"],
    ["run_name DESC"], ["artifact_uri"], ["user_id DESC"], ["run_id"], ["run_id DESC"], ["status", "run_name"],
    ["metrics.m"], ["metrics.m DESC"], ["metric.`a b.c` DESC"], ["metrics.\"a b.c\""],
    ["metrics.m", "metrics.`a b.c` desc"], ["metrics.nothing"], ["metrics.created DESC"], ["params.p"],
    ["params.p DESC"], ["params.created"], ["tags.t"], ["tags.t DESC", "metrics.m"], ["tag.`with space` DESC"],
    ["params.p", "tags.t", "metrics.m DESC", "end_time"], ["metrics.m  desc"], ["metrics.`it's`"],
]  # fmt: skip
BAD_ORDERS = [
    [""], [" "], ["'"], ['"'], ["`"], ["start_time foo"], ["start_time desc asc"], ["start_time, run_id"], ["foo"],
    ["foo.bar"], ["dataset.name"], ["datasets.foo"], ["timestamp"], ["timestamp desc"], ["timestamp foo"], ["1"],
    ["'start_time'"], ["metrics.`m"], ["metrics.\"m"], ["start_time; run_id"], ["start_time -- x"], ["(start_time)"],
    ["`Run name`"], ["run name"], ["`run name` desc"], ["start_time", "start_time"], ["start_time", "created desc"],
    ["metrics.m", "metrics.m desc"], ["tags.m", "metrics.m", "tags.`m`"], ["start_time descending"], ["desc"],
    ["a.b.c d"], ["start_time DROP TABLE runs"], ["metrics.m\0"], ["  metrics.m  desc  "], ["TIMESTAMP"],
    ["metrics.a'b"], ["params.p ASC NULLS FIRST"],
]  # fmt: skip
CRASHING_ORDERS = [['metrics.`a"b`'], ['metrics."a`b" desc']]
