"""The scripts call every native operation, and ours does answer them natively: forwarded calls would prove nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from urllib.parse import unquote

import pytest

from differential import (
    test_experiments,
    test_log_batch,
    test_logged_models,
    test_metric_history,
    test_model_version_sources,
    test_model_versions,
    test_registered_models,
    test_run_inputs,
    test_runs,
    test_search_experiments,
    test_search_logged_models,
    test_search_runs,
    test_search_runs_pages,
)
from differential.harness.pair import Pair
from differential.harness.script import API, Script, send
from tracking_server.door.match import Match, Matcher
from tracking_server.door.table import TABLE

FAMILIES = (
    test_experiments,
    test_log_batch,
    test_logged_models,
    test_metric_history,
    test_model_version_sources,
    test_model_versions,
    test_registered_models,
    test_run_inputs,
    test_runs,
    test_search_experiments,
    test_search_logged_models,
    test_search_runs,
    test_search_runs_pages,
)
# One script of each family that only does what its operations are for.
ORDINARY = {
    "create, get, rename",
    "delete and restore",
    "create and get",
    "everything at once",
    "datasets as inputs",
    "whole histories",
    "stages",
    "aliases",
    "rename",
    "tags",
    "which experiments",
    "pages",
}
# Artifacts have tests of their own, with what clients are told about them (server-info).
_NOT_HERE = ("artifact", "presigned", "server-info")


def scripts() -> Iterable[Script]:
    return (script for family in FAMILIES for script in family.SCRIPTS)


def test_every_native_operation_is_called() -> None:
    matcher = Matcher(TABLE)
    called = set()
    for script in scripts():
        for step in script.steps:
            path = step.path if step.path.startswith("/") else API + step.path
            found = matcher.match(step.method, unquote(path.partition("?")[0]))
            if isinstance(found, Match):
                called.add(found.route.label)
    native = {
        row.label
        for row in TABLE
        if row.handler is not None
        and any("/mlflow/" in path for path in row.paths)
        and not any(word in path for word in _NOT_HERE for path in row.paths)
    }
    assert native - called == set()


def forwarded(pair: Pair) -> object:
    """Ours' own count of forwarded requests."""
    answer = pair.ours.connection.exchange(send("GET", "/-/ready").render({}))
    return json.loads(answer.body)["forwarded"]


@pytest.mark.skipif(os.environ.get("DIFFERENTIAL_OURS") == "stock", reason="ours is stock in this run")
def test_ordinary_calls_are_not_forwarded(pair: Pair) -> None:
    before = forwarded(pair)
    for script in scripts():
        if script.name in ORDINARY:
            pair.begin()
            for step in script.steps:
                pair.ours.send(step)
    assert forwarded(pair) == before
