"""Registered models: create, get, rename, update, delete, search, tags, aliases, latest versions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from differential.calls import new_model, new_version, pair_of
from differential.harness.mutations import INTEGER, LIST, TEXT, mutations
from differential.harness.pair import Pair
from differential.harness.script import AJAX, Call, Script, get, post, script, send


def create(name: str, **more: object) -> Call:
    return post("registered-models/create", {"name": name, **more})


def read(name: str = "m") -> Call:
    return get("registered-models/get", {"name": name})


def patch(path: str, body: object) -> Call:
    return send("PATCH", path, body)


def delete(path: str, body: object) -> Call:
    return send("DELETE", path, body)


def set_tag(key: str, value: object = "v", name: str = "m") -> Call:
    return post("registered-models/set-tag", {"name": name, "key": key, "value": value})


def set_alias(alias: str, version: object = "1", name: str = "m") -> Call:
    return post("registered-models/alias", {"name": name, "alias": alias, "version": version})


def any_order(call: Call) -> Call:
    """Stock reads the latest versions of the stages without ORDER BY."""
    return replace(call, unordered=("model_versions",))


def latest(body: object) -> Call:
    return any_order(post("registered-models/get-latest-versions", body))


def by_alias(alias: str, name: str = "m") -> Call:
    return get("registered-models/alias", {"name": name, "alias": alias})


def search(text: str = "", **more: str) -> Call:
    return get("registered-models/search", {"filter": text, **more})


MODELS = [
    create("alpha", tags=[pair_of("t", "x"), pair_of("k", "v")], description="first"),
    create("Beta", tags=[pair_of("t", "X")]),
    create("beta 50%_", tags=[pair_of("t", ""), pair_of("odd key", "it's")]),
    create("délta 😀"),
    create("prompt", tags=[pair_of("mlflow.prompt.is_prompt", "true"), pair_of("t", "x")]),
    create("no prompt", tags=[pair_of("mlflow.prompt.is_prompt", "false")]),
    new_version("alpha"),
    new_version("alpha"),
    new_version("Beta"),
    post("model-versions/transition-stage", {"name": "alpha", "version": "1", "stage": "Production"}),
    set_alias("champion", "2", "alpha"),
]
FILTERS = [
    *(
        "",
        " ",
        "name = 'alpha'",
        "name='alpha'",
        "attribute.name = 'alpha'",
        "attributes.name = 'alpha'",
        "name != 'alpha'",
    ),
    *(
        "name LIKE 'b%'",
        "name ILIKE 'B%'",
        "name LIKE '%50\\%%'",
        "name like '%a'",
        "name IN ('alpha', 'Beta')",
        "name NOT IN ('alpha')",
    ),
    *(
        "name IN ('alpha',)",
        "name IN ()",
        "name in ('alpha')",
        "name IN 'alpha'",
        "name = alpha",
        'name = "alpha"',
        "name = ''",
    ),
    *(
        "`name` = 'alpha'",
        "name > 'a'",
        "Name = 'alpha'",
        "description = 'first'",
        "nonsense = 'x'",
        "creation_timestamp > 0",
    ),
    *(
        "tags.t = 'x'",
        "tag.t = 'x'",
        "tags.t != 'x'",
        "tags.t LIKE 'X'",
        "tags.t ILIKE 'X'",
        "tags.t = ''",
        "tags.none = 'x'",
    ),
    *(
        'tags.`odd key` = "it\'s"',
        "tags.none != 'x'",
        "tags.t IN ('x')",
        "tags.t > 'a'",
        "tags.t IS NULL",
        "tags = 'x'",
    ),
    *(
        "tags.t = 'x' AND tags.k = 'v'",
        "tags.t = 'x' AND tags.t = 'y'",
        "tags.t != 'a' AND tags.t != 'b'",
        "name LIKE '%' AND tags.t = 'x'",
    ),
    *(
        "tags.`mlflow.prompt.is_prompt` = 'true'",
        "tags.mlflow.prompt.is_prompt = 'true'",
        "tags.`mlflow.prompt.is_prompt` = 'false'",
    ),
    *(
        "tags.`mlflow.prompt.is_prompt` != 'true'",
        "tags.`mlflow.prompt.is_prompt` = 'true' AND name = 'prompt'",
        "metrics.m > 1",
    ),
    *(
        "name = 'a' OR name = 'b'",
        "name = 'alpha' AND",
        "name = 'alpha';",
        "'",
        "(name = 'alpha')",
        "name",
        "name = 'a' 'b'",
    ),
]
ORDERS = [
    *(
        "name",
        "name ASC",
        "name DESC",
        "name desc",
        "creation_timestamp",
        "creation_timestamp DESC",
        "last_updated_timestamp",
    ),
    *(
        "last_updated_timestamp DESC",
        "timestamp",
        "timestamp DESC",
        "tags.t",
        "nonsense",
        "",
        " ",
        "name ACS",
        "name ASC DESC",
    ),
    *("description", "Name", "`name`", "last_updated_time", "creation_time"),
]
NAMES = [
    *(
        " ",
        "",
        "a/b",
        "a:b",
        "a.b",
        ".",
        "..",
        "../a",
        "a//b",
        "é",
        "😀",
        "e\u0301",
        "a b",
        "a!",
        "x" * 256,
        "x" * 257,
        "\n",
        "\t x",
    ),
]

SCRIPTS = [
    script(
        "create, update, delete",
        create("m", description="d", tags=[pair_of("a", "1"), pair_of("b", "2")]),
        read(),
        create("m"),
        create("m", tags=[pair_of("mlflow.prompt.is_prompt", "true")]),
        create("n", tags=[pair_of("a", "1"), pair_of("a", "2")]),
        patch("registered-models/update", {"name": "m", "description": "changed"}),
        patch("registered-models/update", {"name": "m"}),
        patch("registered-models/update", {"name": "m", "description": ""}),
        patch("registered-models/update", {"name": "m", "description": "x" * 5000}),
        patch("registered-models/update", {"name": "m", "description": "x" * 5001}),
        patch("registered-models/update", {"name": "nobody", "description": "x"}),
        read(),
        read("nobody"),
        delete("registered-models/delete", {"name": "m"}),
        delete("registered-models/delete", {"name": "m"}),
        read(),
        create("m"),
        read(),
    ),
    script(
        "rename",
        new_model(),
        new_model("taken"),
        new_version(tags=[pair_of("t")]),
        new_version(),
        set_tag("k"),
        set_alias("champion", "2"),
        post("registered-models/rename", {"name": "m", "new_name": "renamed"}),
        read(),
        read("renamed"),
        get("model-versions/get", {"name": "renamed", "version": "1"}),
        by_alias("champion", "renamed"),
        post("registered-models/rename", {"name": "renamed", "new_name": "taken"}),
        post("registered-models/rename", {"name": "renamed", "new_name": "renamed"}),
        post("registered-models/rename", {"name": "nobody", "new_name": "x"}),
        [
            post("registered-models/rename", {"name": "renamed", "new_name": name})
            for name in (" ", "a/b", "../x", "x" * 257)
        ],
    ),
    script("names", [create(name) for name in NAMES], [read(name) for name in NAMES]),
    script(
        "tags",
        new_model(),
        set_tag("k"),
        set_tag("k", "w"),
        set_tag("k", ""),
        set_tag("bad!"),
        set_tag("../k"),
        set_tag("k" * 250),
        set_tag("k" * 251),
        set_tag("long", "v" * 5000),
        set_tag("longer", "v" * 5001),
        set_tag("limit", "v" * 100_000),
        set_tag("beyond", "v" * 100_001),
        set_tag("é", "😀"),
        set_tag("k", name="nobody"),
        read(),
        delete("registered-models/delete-tag", {"name": "m", "key": "k"}),
        delete("registered-models/delete-tag", {"name": "m", "key": "k"}),
        delete("registered-models/delete-tag", {"name": "nobody", "key": "k"}),
        delete("registered-models/delete-tag", {"name": "m", "key": "bad!"}),
        read(),
        create("n", tags=[pair_of("bad!")]),
        create("n", tags=[pair_of("k", "v" * 5001)]),
        create("n", tags=[{"key": "k"}]),
        create("n2", tags=[{"value": "v"}]),
    ),
    script(
        "aliases",
        new_model(),
        new_version(),
        new_version(),
        set_alias("champion"),
        set_alias("champion", "2"),
        set_alias("other", "1"),
        set_alias("Champion", "1"),
        by_alias("champion"),
        by_alias("Champion"),
        read(),
        get("model-versions/get", {"name": "m", "version": "1"}),
        [
            set_alias(alias)
            for alias in ("latest", "LATEST", "v1", "V22", "v", "v1a", "1", "-", "a b", "é", "a.b", "a\n", "")
        ],
        set_alias("a" * 255),
        set_alias("a" * 256),
        [set_alias("x", version) for version in ("3", "0", "-1", "x", "1.0", "", " 1", "99999999999999999999")],
        set_alias("x", "1", "nobody"),
        by_alias("nobody"),
        by_alias("latest"),
        by_alias("champion", "nobody"),
        by_alias(""),
        delete("registered-models/alias", {"name": "m", "alias": "other"}),
        delete("registered-models/alias", {"name": "m", "alias": "other"}),
        delete("registered-models/alias", {"name": "nobody", "alias": "other"}),
        delete("registered-models/alias", {"name": "m", "alias": "latest"}),
        delete("registered-models/alias", {"name": "m", "alias": "a b"}),
        delete("model-versions/delete", {"name": "m", "version": "2"}),
        by_alias("champion"),
        read(),
        delete("registered-models/delete", {"name": "m"}),
    ),
    script(
        "latest versions",
        new_model(),
        [new_version() for _ in range(5)],
        [
            post("model-versions/transition-stage", {"name": "m", "version": version, "stage": stage})
            for version, stage in (("1", "Production"), ("2", "Production"), ("3", "Staging"), ("4", "Archived"))
        ],
        [
            latest({"name": "m", "stages": stages})
            for stages in (
                [],
                ["Production"],
                ["production"],
                ["None"],
                ["Staging", "Production"],
                ["x"],
                ["Archived", "x"],
                [""],
            )
        ],
        latest({"name": "m"}),
        latest({"name": "nobody"}),
        any_order(
            get(
                "registered-models/get-latest-versions",
                [("name", "m"), ("stages", "Production"), ("stages", "Staging")],
            )
        ),
        any_order(get(f"{AJAX}registered-models/get-latest-versions", {"name": "m"})),
        delete("model-versions/delete", {"name": "m", "version": "2"}),
        latest({"name": "m", "stages": ["Production"]}),
        read(),
        [
            any_order(call)
            for call in mutations(
                "registered-models/get-latest-versions", {"name": "m", "stages": []}, {"name": TEXT, "stages": LIST}
            )
        ],
    ),
    script("search", MODELS, [search(text) for text in FILTERS]),
    script("order", MODELS, [search(order_by=order) for order in ORDERS]),
    script(
        "pages",
        MODELS,
        get("registered-models/search", {"max_results": "2"}, save={"token": "next_page_token"}),
        [search(max_results=count, page_token="{token}") for count in ("1", "2", "3", "4")],
        [search(max_results=count) for count in ("0", "-1", "1", "5", "6", "7", "999", "1000", "1001", "x", "1.0", "")],
        [
            search(page_token=token)
            for token in ("x", "e30=", "eyJvZmZzZXQiOiAtMX0=", "W10=", "eyJvZmZzZXQiOiA5OTl9", "")
        ],
        get("registered-models/search", [("order_by", "name DESC"), ("order_by", "timestamp")]),
        get("registered-models/search", [("order_by", "name"), ("order_by", "name")]),
        get("registered-models/search"),
        post("registered-models/search", {"filter": "name = 'alpha'"}),
    ),
    script(
        "wrong fields",
        new_model(),
        new_version(),
        mutations(
            "registered-models/create",
            {"name": "n", "description": "d", "tags": [pair_of("k")]},
            {"name": TEXT, "description": TEXT, "tags": LIST, "tags.0.key": TEXT, "tags.0.value": TEXT},
        ),
        mutations("registered-models/rename", {"name": "m", "new_name": "m"}, {"name": TEXT, "new_name": TEXT}),
        mutations(
            "registered-models/update",
            {"name": "m", "description": "d"},
            {"name": TEXT, "description": TEXT},
            method="PATCH",
        ),
        mutations(
            "registered-models/set-tag",
            {"name": "m", "key": "k", "value": "v"},
            {"name": TEXT, "key": TEXT, "value": TEXT},
        ),
        mutations(
            "registered-models/delete-tag", {"name": "m", "key": "k"}, {"name": TEXT, "key": TEXT}, method="DELETE"
        ),
        mutations(
            "registered-models/alias",
            {"name": "m", "alias": "a", "version": "1"},
            {"name": TEXT, "alias": TEXT, "version": INTEGER},
        ),
        mutations(
            "registered-models/alias", {"name": "m", "alias": "a"}, {"name": TEXT, "alias": TEXT}, method="DELETE"
        ),
        mutations("registered-models/delete", {"name": "nobody"}, {"name": TEXT}, method="DELETE"),
    ),
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda item: item.name)
def test_registered_models(pair: Pair, script: Script) -> None:
    pair.check(script)
