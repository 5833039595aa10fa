"""Every native operation under bad input: a clear 4xx, and a server that goes on as before."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robustness import bodies
from robustness.bodies import OPERATIONS, READING, WRITING, Operation
from robustness.conftest import MAX_BODY, Target
from robustness.wire import Answer, Wire
from tracking_server.api.operation import MESSAGES
from tracking_server.door.table import TABLE

_CLIENTS = 4
Tried = tuple[str, str, bytes | None]


def ask_all(target: Target, requests: Iterable[Tried]) -> list[Answer]:
    """Sends requests over a few connections at a time, and checks every answer."""
    items = list(requests)

    def some(part: list[Tried]) -> list[Answer]:
        with target.wire() as wire:
            return [target.check(wire.ask(*item), item) for item in part]

    with ThreadPoolExecutor(_CLIENTS) as pool:
        return [answer for part in pool.map(some, (items[n::_CLIENTS] for n in range(_CLIENTS))) for answer in part]


def test_every_native_operation_is_among_those_tested() -> None:
    assert len(OPERATIONS) == len([route for route in TABLE if route.handler in MESSAGES]) > 40
    assert set(OPERATIONS) == {*READING, *WRITING}


def test_fitting_values_reach_what_exists(target: Target) -> None:
    """Otherwise the tests below would spoil what is wrong already."""
    answers = {}
    for operation in (
        each for each in OPERATIONS if each.label in ("runs.log-metric", "runs.search", "runs.log-batch")
    ):
        body = json.dumps(operation.fitting(target) | {"model_id": None, "metrics": []}).encode()
        with target.wire() as wire:
            answers[operation.label] = wire.ask(operation.method, operation.path(target), body).status
    assert answers == dict.fromkeys(("runs.log-metric", "runs.search", "runs.log-batch"), 200)


@pytest.mark.parametrize("operation", WRITING, ids=lambda each: each.label)
def test_wrong_bodies(target: Target, operation: Operation) -> None:
    path = operation.path(target)
    tried = [*bodies.TOP_LEVELS, *bodies.spoiled(operation, target), *bodies.enlarged(operation, target)]
    answers = ask_all(target, ((operation.method, path, body) for body in tried))
    assert any(answer.status == 400 for answer in answers)


@pytest.mark.parametrize("operation", READING, ids=lambda each: each.label)
def test_wrong_queries(target: Target, operation: Operation) -> None:
    path = operation.path(target)
    fitting = operation.fitting(target)
    tried: list[Tried] = []
    for name in operation.fields():
        rest = "&".join(f"{other}={value}" for other, value in fitting.items() if other != name)
        tried += [("GET", f"{path}?{name}={word}&{rest}", None) for word in bodies.WORDS]
        tried += [("GET", f"{path}?{rest}&{name}=a&{name}=b&{name}", None), ("GET", f"{path}?{name}", None)]
    tried += [("GET", f"{path}?{word}", None) for word in bodies.WORDS]
    tried += [("GET", path, body) for body in bodies.TOP_LEVELS]
    assert ask_all(target, tried)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.label)
def test_methods_and_content_types(target: Target, operation: Operation) -> None:
    path = operation.path(target)
    body = json.dumps(operation.fitting(target)).encode()
    with target.wire() as wire:
        for method in ("HEAD", "OPTIONS", "TRACE", "PATCH", "PUT", "DELETE", "PROPFIND", "GET", "POST"):
            if method not in operation.route.methods:
                target.check(wire.ask(method, path), (method, path))
        if operation.method not in ("POST", "PUT"):
            return
        for content_type in (
            None,
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "\xff",
        ):
            answer = target.check(wire.ask(operation.method, path, body, content_type=content_type), content_type)
            assert answer.status == 400


def test_an_encoded_body_is_not_taken_for_json(target: Target) -> None:
    with target.wire() as wire:
        for body in (b"\x1f\x8b\x08\x00garbage", b'{"name": "zipped"}'):
            for encoding in ("gzip", "br", "nonsense"):
                answer = wire.ask(
                    "POST", "/api/2.0/mlflow/experiments/create", body, headers=[("Content-Encoding", encoding)]
                )
                target.check(answer, encoding)


def test_a_body_above_the_limit_is_413(target: Target) -> None:
    for operation in WRITING:
        with target.wire() as wire:
            answer = target.check(
                wire.ask(operation.method, operation.path(target), b" " * (MAX_BODY + 1)), operation.label
            )
            assert answer.status == 413, operation.label


def tokens() -> list[str]:
    inside = (
        *("{}", "[]", "null", "1", "x", '{"offset": -1}', '{"offset": 1e400}', '{"offset": "x"}', '{"offset": null}'),
        *(
            f'{{"offset": {2**64}}}',
            f'{{"offset": {"9" * 5000}}}',
            '{"offset": 1.5}',
            '{"offset": [1]}',
            '{"offset": true}',
        ),
        *(
            f'{{"offset": {2**63 - 1}}}',
            '{"order_by": [1]}',
            "[" * 100_000,
            '{"offset": NaN}',
            '{"offset": 5, "x": "\\ud800"}',
        ),
    )
    encoded = [base64.b64encode(text.encode()).decode() for text in inside]
    return [*encoded, "x", "é", "====", "%%%", "\0", "a" * 100_000, base64.b64encode(b"\xff\xfe").decode(), "e30", " "]


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if "page_token" in each.fields()], ids=lambda each: each.label
)
def test_broken_page_tokens(target: Target, operation: Operation) -> None:
    path = operation.path(target)
    known = {name: value for name, value in operation.fitting(target).items() if value and name in target.values}
    if operation.method == "GET":
        rest = "&".join(f"{name}={value}" for name, value in known.items())
        tried: list[Tried] = [
            ("GET", f"{path}?{rest}&page_token={_quoted(token)[:16_000]}", None) for token in tokens()
        ]
    else:
        tried = [("POST", path, json.dumps(known | {"page_token": token}).encode()) for token in tokens()]
    assert ask_all(target, tried)


FILTERS = (
    *("a", "=", "a =", "= 1", "a = 1 AND", "AND", "a = 'x", 'a = "x', "a = `x", "metrics.`a = 1", "a = 1;", "--", "/*"),
    *("metrics.m = 'x'", "params.p = 1", "name = 1e400", "metrics.m > 1e400", f"metrics.m > {'9' * 5000}", "a IN ()"),
    *(
        "name IN (1, 2)",
        "name LIKE 5",
        "name = 'a' OR name = 'b'",
        "tags.a = '\0'",
        "tags.`\ud800` = 'x'",
        "name != NULL",
    ),
    *("(" * 5000, "((((name = 'a'))))", "name = 'a' AND " * 2000, "x" * 1_000_000, "metrics.m > 1 AND " * 50_000),
    *(
        "'" * 9999,
        "\\" * 1000,
        "name = '%" + "%_" * 1000 + "'",
        "name ILIKE '" + "\\" * 999 + "'",
        "attribute." + "a." * 1000,
    ),
)


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if "filter" in each.fields()], ids=lambda each: each.label
)
def test_broken_filters_and_orders(target: Target, operation: Operation) -> None:
    if operation.method == "GET":
        path = operation.path(target)
        tried: list[Tried] = [("GET", f"{path}?max_results=5&filter={_quoted(text[:8000])}", None) for text in FILTERS]
        tried += [("GET", f"{path}?max_results=5&order_by={_quoted(text[:8000])}", None) for text in FILTERS]
    else:
        known = {"experiment_ids": target.values["experiment_ids"]} if "experiment_ids" in operation.fields() else {}
        changes = [{"filter": text} for text in FILTERS] + [{"order_by": [text]} for text in FILTERS]
        tried = [("POST", operation.path(target), json.dumps(known | change).encode()) for change in changes]
    assert ask_all(target, tried)


def test_a_long_filter_does_not_keep_others_waiting(target: Target) -> None:
    """A text that takes its time to read, and the health of both workers asked all the while."""
    text = " AND ".join(f"metrics.m{number} > {number}" for number in range(300))
    body = json.dumps({"experiment_ids": target.values["experiment_ids"], "filter": text}).encode()

    def search() -> Answer:
        with target.wire() as wire:
            return target.check(wire.ask("POST", "/api/2.0/mlflow/runs/search", body))

    with ThreadPoolExecutor(1) as pool, ExitStack() as stack:
        wires = [stack.enter_context(target.wire()) for _ in range(8)]
        searching = [pool.submit(search) for _ in range(3)]
        waits = []
        while not all(each.done() for each in searching):
            waits += [wire.ask("GET", "/health").seconds for wire in wires]
        answers = [each.result() for each in searching]
    assert [answer.status for answer in answers] == [200] * 3
    assert max(waits) < max(answer.seconds for answer in answers) / 2


_FIELDS = sorted({field for operation in OPERATIONS for field in operation.fields()})
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(_FIELDS)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_FIELDS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


def fuzz(
    target: Target, wire: Wire, operation: Operation, changes: dict[str, object], cut: int, chance: random.Random
) -> None:
    """Sends a request that fits but for some fields, whole or cut or with some bytes changed."""
    path = operation.path(target)
    body = bytearray(json.dumps(operation.fitting(target) | changes).encode())
    if cut:
        for _ in range(cut):
            body[chance.randrange(len(body))] = chance.randrange(256)
        if cut > 4:
            del body[chance.randrange(len(body)) :]
    target.check(wire.ask(operation.method, path, bytes(body)), (operation.label, bytes(body)))


_ARGUMENTS = {
    "operation": st.sampled_from([each for each in OPERATIONS if "delete" not in each.label]),
    "changes": st.dictionaries(st.sampled_from(_FIELDS), _JSON, max_size=4),
    "cut": st.sampled_from([0, 0, 0, 1, 3, 5]),
    "chance": st.randoms(use_true_random=False),
}
_CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=150, derandomize=True, deadline=None, database=None, suppress_health_check=_CHECKS)
@given(**_ARGUMENTS)
def test_fuzzed(
    target: Target, operation: Operation, changes: dict[str, object], cut: int, chance: random.Random
) -> None:
    with target.wire() as wire:
        fuzz(target, wire, operation, changes, cut, chance)


@pytest.mark.slow
@settings(max_examples=5000, deadline=None, database=None, suppress_health_check=_CHECKS)
@given(**_ARGUMENTS)
def test_fuzzed_for_long(
    target: Target, operation: Operation, changes: dict[str, object], cut: int, chance: random.Random
) -> None:
    with target.wire() as wire:
        fuzz(target, wire, operation, changes, cut, chance)


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))
