"""Experiments: create, get, get-by-name, search, update, delete, restore, set-experiment-tag, delete-experiment-tag."""

from __future__ import annotations

import pytest

from differential.harness.pair import Pair
from differential.harness.script import Script, get, post, script

SCRIPTS = [
    script(
        "create, get, rename",
        post("experiments/create", {"name": "a", "tags": [{"key": "k", "value": "v"}]}, save={"exp": "experiment_id"}),
        get("experiments/get", {"experiment_id": "{exp}"}),
        get("experiments/get-by-name", {"experiment_name": "a"}),
        post("experiments/update", {"experiment_id": "{exp}", "new_name": "b"}),
        get("experiments/get", {"experiment_id": "{exp}"}),
        post("experiments/create", {"name": "b"}),
        get("experiments/get", {"experiment_id": "0"}),
    ),
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda item: item.name)
def test_experiments(pair: Pair, script: Script) -> None:
    pair.check(script)
