"""experiments/search: filters, order, pages."""

from __future__ import annotations

import pytest

from differential.calls import pair_of
from differential.harness.pair import Pair
from differential.harness.script import Call, Script, post, script

SETUP = [
    post(
        "experiments/create",
        {"name": "alpha", "tags": [pair_of("t", "x"), pair_of("k", "v")]},
        save={"a": "experiment_id"},
    ),
    post(
        "experiments/create",
        {"name": "Beta", "tags": [pair_of("t", "X"), pair_of("a.b", "dot")]},
        save={"b": "experiment_id"},
    ),
    post("experiments/create", {"name": "beta/50%_", "tags": [pair_of("t", ""), pair_of("odd key", "it's")]}),
    post("experiments/create", {"name": "délta 😀"}, save={"d": "experiment_id"}),
    post("experiments/create", {"name": "gone", "tags": [pair_of("t", "x")]}, save={"gone": "experiment_id"}),
    post("experiments/delete", {"experiment_id": "{gone}"}),
    post("experiments/update", {"experiment_id": "{a}", "new_name": "alpha 2"}),
]


def search(text: str = "", **more: object) -> Call:
    return post("experiments/search", {"max_results": 100, "filter": text, **more})


FILTERS = [
    *(
        "",
        " ",
        "name = 'Beta'",
        "attribute.name = 'Beta'",
        "attributes.name = 'Beta'",
        "attr.name = 'Beta'",
        "name != 'Beta'",
    ),
    *(
        "name LIKE 'b%'",
        "name ILIKE 'B%'",
        "name LIKE '%50\\%%'",
        "name LIKE '%a_'",
        "name like 'alpha%'",
        "name LIKE ''",
    ),
    *(
        "name IN ('Beta')",
        "name NOT IN ('Beta')",
        "name > 'a'",
        "name = Beta",
        'name = "Beta"',
        "`name` = 'Beta'",
        "Name = 'Beta'",
    ),
    *(
        "experiment_id = '{a}'",
        "experiment_id = {a}",
        "experiment_id IN ('{a}', '{b}')",
        "experiment_id NOT IN ('{a}')",
    ),
    *(
        "experiment_id != '{a}'",
        "experiment_id > '0'",
        "experiment_id = 'x'",
        "experiment_id IN ('x')",
        "experiment_id LIKE '7%'",
    ),
    *(
        "creation_time > 0",
        "creation_time = 1",
        "creation_time >= 1",
        "creation_time < 2",
        "creation_time != 1",
        "creation_time > 1.5",
    ),
    *(
        "creation_time = 'x'",
        "creation_time > '0'",
        "creation_time LIKE '1'",
        "creation_time IN (1)",
        "last_update_time > 1",
    ),
    *(
        "last_update_time <= 1",
        "lifecycle_stage = 'active'",
        "artifact_location = 'x'",
        "nonsense = 'x'",
        "attribute.x = 'y'",
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
        'tags."odd key" LIKE "it%"',
        "tags.a.b = 'dot'",
        "tags.`a.b` = 'dot'",
        "tags.t IS NULL",
    ),
    *(
        "tags.t IS NOT NULL",
        "tags.none is null",
        "tags.t > 'a'",
        "tags.t IN ('x')",
        "tags.t = 5",
        "tags = 'x'",
        "tags. = 'x'",
    ),
    *(
        "name LIKE '%a%' AND tags.t = 'x'",
        "tags.t = 'x' AND tags.k = 'v'",
        "name = 'a' OR name = 'b'",
        "name = 'a' AND",
        "'",
    ),
    *(
        "metrics.m > 1",
        "params.p = 'x'",
        "(name = 'Beta')",
        "name = 'Beta';",
        "name = 'Beta'; name = 'x'",
        "name IS NULL",
    ),
    *(
        "creation_time > 99999999999999999999",
        "name = '😀'",
        "name LIKE '%😀'",
        "name = 'a\u0000b'",
        "name",
        "name =",
        "= 'x'",
    ),
]
ORDERS: list[list[str]] = [
    *(
        [],
        ["name"],
        ["name ASC"],
        ["name DESC"],
        ["name desc"],
        ["creation_time"],
        ["creation_time DESC"],
        ["last_update_time"],
    ),
    *(
        ["last_update_time DESC", "name"],
        ["experiment_id"],
        ["experiment_id DESC"],
        ["attribute.name"],
        ["attributes.name DESC"],
    ),
    *(
        ["tags.t"],
        ["nonsense"],
        ["name ACS"],
        ["name ASC DESC"],
        [""],
        [" "],
        ["name", "name"],
        ["`name`"],
        ["metrics.m"],
    ),
    *(["name, creation_time"], ["Name"], ["lifecycle_stage"], ["artifact_location"], ["name "], [" name"]),
]

SCRIPTS = [
    script(
        "filters", SETUP, [search(text) for text in FILTERS], [search(text, view_type="ALL") for text in FILTERS[:12]]
    ),
    script("order", SETUP, [search(order_by=order) for order in ORDERS]),
    script(
        "view types",
        SETUP,
        [search(view_type=view) for view in ("ACTIVE_ONLY", "DELETED_ONLY", "ALL", 1, 2, 3, 0, 4, "x")],
    ),
    script(
        "pages",
        SETUP,
        post("experiments/search", {"max_results": 2, "order_by": ["name"]}, save={"token": "next_page_token"}),
        [search(max_results=count, page_token="{token}", order_by=["name"]) for count in (1, 2, 3, 4)],
        [search(max_results=count) for count in (0, -1, 1, 4, 5, 6, 49_999, 50_000, 50_001, 2**63 - 1, 2**63)],
        post("experiments/search"),
        post("experiments/search", {"filter": "name = 'Beta'"}),
        [
            search(page_token=token)
            for token in (
                "x",
                "e30=",
                "eyJvZmZzZXQiOiAtMX0=",
                "eyJvZmZzZXQiOiAiMSJ9",
                "W10=",
                "eyJvZmZzZXQiOiA5OTl9",
                "/w==",
            )
        ],
    ),
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda item: item.name)
def test_search_experiments(pair: Pair, script: Script) -> None:
    pair.check(script)
