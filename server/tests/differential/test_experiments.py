"""Experiments: create, get, get-by-name, search, update, delete, restore, set-experiment-tag, delete-experiment-tag."""

from __future__ import annotations

import pytest

from differential.harness.mutations import ENUM, INTEGER, LIST, TEXT, mutations
from differential.harness.pair import Pair
from differential.harness.script import Call, Script, get, post, script, send

NEW = post("experiments/create", {"name": "e"}, save={"exp": "experiment_id"})
READ = get("experiments/get", {"experiment_id": "{exp}"})
LONG = "n" * 500


def create(name: str, **more: object) -> Call:
    return post("experiments/create", {"name": name, **more})


def tag(key: str, value: object = "v") -> Call:
    return post("experiments/set-experiment-tag", {"experiment_id": "{exp}", "key": key, "value": value})


SCRIPTS = [
    script(
        "create, get, rename",
        post("experiments/create", {"name": "a", "tags": [{"key": "k", "value": "v"}]}, save={"exp": "experiment_id"}),
        READ,
        get("experiments/get-by-name", {"experiment_name": "a"}),
        post("experiments/update", {"experiment_id": "{exp}", "new_name": "b"}),
        READ,
        get("experiments/get-by-name", {"experiment_name": "a"}),
        get("experiments/get", {"experiment_id": "0"}),
        get("experiments/get", {"experiment_id": "00"}),
    ),
    script(
        "names that clash",
        NEW,
        create("e"),
        create("Default"),
        create("E"),
        create("e "),
        create("o"),
        post("experiments/update", {"experiment_id": "{exp}", "new_name": "e"}),
        post("experiments/update", {"experiment_id": "{exp}", "new_name": "o"}),
        post("experiments/delete", {"experiment_id": "{exp}"}),
        create("e"),
    ),
    script(
        "names at the limits",
        create("n" * 256),
        create(
            "m" * 257,
        ),
        create(LONG),
        create(LONG + "n"),
        create("é" * 256),
        create("😀" * 256),
        create("e\u0301"),
        create("\u00e9"),
        create(" "),
        create("a/b"),
        create("../x"),
        create("x\ny"),
        get("experiments/get-by-name", {"experiment_name": "e\u0301"}),
        get("experiments/get-by-name", {"experiment_name": "\u00e9"}),
        get("experiments/get-by-name", {"experiment_name": " "}),
        NEW,
        post("experiments/update", {"experiment_id": "{exp}", "new_name": LONG + "n"}),
        post("experiments/update", {"experiment_id": "{exp}", "new_name": "n" * 255 + "é"}),
    ),
    script(
        "artifact locations",
        create("s3", artifact_location="s3://bucket/path"),
        create("slash", artifact_location="s3://bucket/path/"),
        create("query", artifact_location="s3://bucket/path?a=b"),
        create("dots", artifact_location="s3://bucket/path?a=../b"),
        create("fragment", artifact_location="s3://bucket/path#f"),
        create("params", artifact_location="s3://bucket/path;p"),
        create("runs", artifact_location="runs:/abc/x"),
        create("empty", artifact_location=""),
        create("file", artifact_location="file:///srv/somewhere"),
        create("plain", artifact_location="/srv/somewhere"),
        create("http", artifact_location="http://example.com/x"),
        create("dbfs", artifact_location="dbfs:/x"),
        create("odd", artifact_location="nonsense://x"),
        create("proxied", artifact_location="mlflow-artifacts:/x"),
        create("hosted", artifact_location="mlflow-artifacts://example.com/x"),
        create("long", artifact_location="s3://bucket/" + "p" * 3000),
        create("256", artifact_location="s3://bucket/" + "p" * (256 - 12)),
        create("257", artifact_location="s3://bucket/" + "p" * (257 - 12)),
        post("experiments/search", {"max_results": 100}),
    ),
    script(
        "tags",
        NEW,
        tag("k"),
        tag("k", "again"),
        tag("k", ""),
        tag("sp ace/.-_:0"),
        tag("é"),
        tag("日本"),
        tag("bad!"),
        tag("a//b"),
        tag("../a"),
        tag("/a"),
        tag("."),
        tag("k" * 250),
        tag("k" * 251),
        tag("v", "v" * 5000),
        tag("v", "v" * 5001),
        tag("v", "v" * 20000),
        tag("v", "v" * 20001),
        tag("astral", "😀" * 10000),
        tag("mlflow.note.content", "note"),
        READ,
        post("experiments/delete-experiment-tag", {"experiment_id": "{exp}", "key": "k"}),
        post("experiments/delete-experiment-tag", {"experiment_id": "{exp}", "key": "k"}),
        post("experiments/delete-experiment-tag", {"experiment_id": "999", "key": "k"}),
        post("experiments/delete-experiment-tag", {"experiment_id": "x", "key": "k"}),
        READ,
    ),
    script(
        "tags at creation",
        create("dup", tags=[{"key": "k", "value": "1"}, {"key": "k", "value": "2"}]),
        create("bad", tags=[{"key": "bad!", "value": "1"}]),
        create("long", tags=[{"key": "k" * 251, "value": "1"}]),
        create("value", tags=[{"key": "k", "value": "v" * 20001}]),
        create("no key", tags=[{"value": "1"}]),
        create("no value", tags=[{"key": "k"}]),
        create("empty", tags=[{"key": "", "value": ""}]),
        create("nothing", tags=[{}]),
        create("more", tags=[{"key": "k", "value": "v", "other": 1}]),
        post("experiments/search", {"max_results": 100}),
    ),
    script(
        "reserved tags",
        NEW,
        tag("mlflow.trace.archivalRetention", "nonsense"),
        tag("mlflow.trace.archivalRetention", '{"type":"duration","value":"30d"}'),
        tag("mlflow.trace.archivalRetention", '{"type":"duration","value":"0d"}'),
        tag("mlflow.trace.archiveNow", "[]"),
        tag("mlflow.trace.archiveNow", "{}"),
        tag("mlflow.experiment.sourceName", "x"),
        READ,
    ),
    script(
        "too many custom views",
        create(
            "views",
            tags=[{"key": f"mlflow.customView.{number}", "value": "{}"} for number in range(51)],
        ),
        post(
            "experiments/create",
            {"name": "e", "tags": [{"key": f"mlflow.customView.{number}", "value": "{}"} for number in range(50)]},
            save={"exp": "experiment_id"},
        ),
        tag("mlflow.customView.49", "again"),
        tag("mlflow.customView.50", "one too many"),
    ),
    script(
        "delete and restore",
        NEW,
        post(
            "runs/create", {"experiment_id": "{exp}", "start_time": 1, "run_name": "r"}, save={"run": "run.info.run_id"}
        ),
        post(
            "runs/create",
            {"experiment_id": "{exp}", "start_time": 2, "run_name": "d"},
            save={"gone": "run.info.run_id"},
        ),
        post("runs/delete", {"run_id": "{gone}"}),
        post("experiments/delete", {"experiment_id": "{exp}"}),
        READ,
        get("runs/get", {"run_id": "{run}"}),
        post("experiments/delete", {"experiment_id": "{exp}"}),
        post("experiments/update", {"experiment_id": "{exp}", "new_name": "x"}),
        tag("k"),
        post("experiments/delete-experiment-tag", {"experiment_id": "{exp}", "key": "k"}),
        get("experiments/get-by-name", {"experiment_name": "e"}),
        post("runs/create", {"experiment_id": "{exp}", "start_time": 3, "run_name": "n"}),
        post("experiments/restore", {"experiment_id": "{exp}"}),
        get("runs/get", {"run_id": "{run}"}),
        get("runs/get", {"run_id": "{gone}"}),
        post("experiments/restore", {"experiment_id": "{exp}"}),
        post("experiments/delete", {"experiment_id": "0"}),
        post("experiments/restore", {"experiment_id": "0"}),
    ),
    script(
        "no such experiment",
        [
            get("experiments/get", {"experiment_id": identifier})
            for identifier in ("999", "-1", "x", "1.0", " 0", "0x0", "1_0", "٣", "99999999999999999999", "2147483648")
        ],
        [
            post(f"experiments/{verb}", {"experiment_id": "999", "new_name": "n", "key": "k", "value": "v"})
            for verb in ("update", "delete", "restore", "set-experiment-tag", "delete-experiment-tag")
        ],
        [
            post(f"experiments/{verb}", {"experiment_id": "x", "new_name": "n", "key": "k", "value": "v"})
            for verb in ("update", "delete", "restore", "set-experiment-tag", "delete-experiment-tag")
        ],
        get("experiments/get-by-name", {"experiment_name": "nobody"}),
        get("experiments/get-by-name", {"experiment_name": ""}),
        get("experiments/get-by-name"),
        get("experiments/get"),
        get("experiments/get", {"experiment_id": ""}),
    ),
    script(
        "wrong fields of create",
        mutations(
            "experiments/create",
            {"name": "e", "artifact_location": "s3://b/p", "tags": [{"key": "k", "value": "v"}]},
            {"name": TEXT, "artifact_location": TEXT, "tags": LIST, "tags.0.key": TEXT, "tags.0.value": TEXT},
        ),
    ),
    script(
        "wrong fields of update and of tags",
        NEW,
        mutations(
            "experiments/update", {"experiment_id": "{exp}", "new_name": "n"}, {"experiment_id": TEXT, "new_name": TEXT}
        ),
        mutations(
            "experiments/delete-experiment-tag",
            {"experiment_id": "{exp}", "key": "k"},
            {"experiment_id": TEXT, "key": TEXT},
        ),
        mutations(
            "experiments/set-experiment-tag",
            {"experiment_id": "{exp}", "key": "k", "value": "v"},
            {"experiment_id": TEXT, "key": TEXT, "value": TEXT},
        ),
    ),
    script(
        "wrong fields of delete and restore",
        mutations("experiments/delete", {"experiment_id": "999"}, {"experiment_id": TEXT}),
        mutations("experiments/restore", {"experiment_id": "999"}, {"experiment_id": TEXT}),
    ),
    script(
        "wrong fields of search",
        NEW,
        mutations(
            "experiments/search",
            {"max_results": 5, "view_type": "ALL", "filter": "name = 'e'", "order_by": ["name"]},
            {
                "max_results": INTEGER,
                "view_type": ENUM,
                "filter": TEXT,
                "order_by": LIST,
                "page_token": (*TEXT, '"x"', '"e30="', '"eyJvZmZzZXQiOiAxfQ=="', '"eyJvZmZzZXQiOiAtMX0="'),
            },
        ),
    ),
    script(
        "field names",
        post("experiments/create", {"name": "camel", "artifactLocation": "s3://b/p"}),
        post("experiments/create", {"name": "both", "artifactLocation": "s3://b/p", "artifact_location": "s3://b/q"}),
        post("experiments/create", {"name": "unknown", "nonsense": {"a": [1]}}),
        post("experiments/create", {"Name": "x"}),
        NEW,
        post("experiments/update", {"experimentId": "{exp}", "newName": "n"}),
        post("experiments/update", {"experiment_id": "{exp}", "newName": "n"}),
        send("POST", "experiments/create", raw=b'{"name": "first", "name": "second"}'),
        send("POST", "experiments/create", raw=b'{"name": "first", "n\\u0061me": "third"}'),
        post("experiments/search", {"maxResults": 10, "viewType": "ALL", "orderBy": ["name"]}),
        get("experiments/get", {"experimentId": "{exp}"}),
    ),
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda item: item.name)
def test_experiments(pair: Pair, script: Script) -> None:
    pair.check(script)
