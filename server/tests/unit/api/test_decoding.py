"""Our reading of a request against stock's own, on generated JSON around one of MLflow's larger messages."""

import json
from functools import partial
from typing import Any

import pytest
from flask import Flask
from flask import request as flask_request
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.protos.service_pb2 import LogBatch as StockLogBatch
from mlflow.protos.service_pb2 import LogMetric as StockLogMetric
from mlflow.protos.service_pb2 import SearchRuns as StockSearchRuns
from mlflow.server import handlers

from tracking_server.api import rules
from tracking_server.api.decoding import decode
from tracking_server.api.messages import Double, Int32, Int64, Message, RequiredText, ViewType
from tracking_server.errors import MlflowError
from tracking_server.web import Request


class MetricMessage(Message):
    key: RequiredText
    value: Double | None = None
    timestamp: Int64 | None = None
    step: Int64 | None = 0


class KeyedValue(Message):
    key: RequiredText
    value: str | None = None


class BatchMessage(Message):
    run_id: RequiredText
    metrics: list[MetricMessage] = []
    params: list[KeyedValue] = []
    tags: list[KeyedValue] = []


class LogMetricMessage(Message):
    run_id: RequiredText
    key: RequiredText
    value: Double
    timestamp: Int64
    run_uuid: str | None = None
    step: Int64 | None = 0


class SearchMessage(Message):
    experiment_ids: list[str] = []
    filter: str | None = None
    run_view_type: ViewType = ViewType.ACTIVE_ONLY
    max_results: Int32 = 1000
    order_by: list[str] = []
    page_token: str | None = None


def _keys_present(field: str, items: Any) -> None:
    """What ``_log_batch`` in mlflow/server/handlers.py asks of its lists."""
    for index, item in enumerate(items):
        handlers._assert_required(item.get("key"), path=f"{field}[{index}].key")


NESTED: dict[str, type[Message]] = {"metrics": MetricMessage, "params": KeyedValue, "tags": KeyedValue}
CASES: dict[str, tuple[Any, type[Message], rules.Rules, dict[str, Any]]] = {
    "log-batch": (
        StockLogBatch,
        BatchMessage,
        {
            "run_id": [rules.string, rules.required],
            "metrics": [rules.array, rules.fields_present("metrics", "key")],
            "params": [rules.array, rules.fields_present("params", "key")],
            "tags": [rules.array, rules.fields_present("tags", "key")],
        },
        {
            "run_id": [handlers._assert_string, handlers._assert_required],
            "metrics": [handlers._assert_array, partial(_keys_present, "metrics")],
            "params": [handlers._assert_array, partial(_keys_present, "params")],
            "tags": [handlers._assert_array, partial(_keys_present, "tags")],
        },
    ),
    "log-metric": (
        StockLogMetric,
        LogMetricMessage,
        {
            "run_id": [rules.required, rules.string],
            "key": [rules.required, rules.string],
            "value": [rules.required, rules.floatlike],
            "timestamp": [rules.intlike, rules.required],
            "step": [rules.intlike],
        },
        {
            "run_id": [handlers._assert_required, handlers._assert_string],
            "key": [handlers._assert_required, handlers._assert_string],
            "value": [handlers._assert_required, handlers._assert_floatlike],
            "timestamp": [handlers._assert_intlike, handlers._assert_required],
            "step": [handlers._assert_intlike],
        },
    ),
    "search-runs": (
        StockSearchRuns,
        SearchMessage,
        {
            "experiment_ids": [rules.array],
            "filter": [rules.string],
            "max_results": [rules.intlike, rules.at_most(50000)],
            "order_by": [rules.array, rules.string_items],
        },
        {
            "experiment_ids": [handlers._assert_array],
            "filter": [handlers._assert_string],
            "max_results": [
                handlers._assert_intlike,
                lambda x: handlers._assert_less_than_or_equal(int(x), 50000),
            ],
            "order_by": [handlers._assert_array, handlers._assert_item_type_string],
        },
    ),
}

scalars = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**70), max_value=2**70)
    | st.sampled_from([2**63, 2**63 - 1, -(2**63), -(2**63) - 1, 2**31, 50000, 50001, 0, 1, 3])
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["", "1", "1.0", "1.5", "1e3", " 1", "NaN", "nan", "Infinity", "-Infinity", "ALL", "\ud800", "2"])
)
names = st.sampled_from(
    [
        *("run_id", "runId", "run_uuid", "key", "value", "timestamp", "step", "metrics", "params", "tags"),
        *("experiment_ids", "experimentIds", "filter", "run_view_type", "runViewType", "max_results", "maxResults"),
        *("order_by", "page_token", "other", "[other]", "\ud800"),
    ]
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4), max_leaves=8
)
request_objects = st.dictionaries(names, values, max_size=5)


def as_dict(value: Any) -> Any:
    if isinstance(value, Message):
        return {name: as_dict(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, list):
        return [as_dict(item) for item in value]
    return value


def stock_answer(body: bytes, case: str) -> Any:
    stock_type, message_type, _, schema = CASES[case]
    with Flask("test").test_request_context(method="POST", data=body, content_type="application/json"):
        try:
            message = handlers._get_request_message(stock_type(), flask_request, schema)
        except MlflowException as error:
            return str(error)
        except (AttributeError, TypeError, ValueError, OverflowError, RecursionError, SystemError):
            return "crashed"
    return stock_fields(message, message_type)


def stock_fields(message: Any, message_type: type[Message]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name in message_type.__struct_fields__:
        value = getattr(message, name)
        descriptor = message.DESCRIPTOR.fields_by_name[name]
        if descriptor.is_repeated:
            nested = NESTED.get(name)
            fields[name] = [stock_fields(item, nested) if nested else item for item in value]
        elif not message.HasField(name) and not descriptor.has_default_value:
            fields[name] = None
        else:
            fields[name] = (
                value if name != "run_view_type" else ViewType[descriptor.enum_type.values_by_number[value].name]
            )
    return fields


async def our_answer(body: bytes, case: str) -> Any:
    async def read_body() -> bytes:
        return body

    request = Request("POST", "/", b"/", b"", [(b"content-type", b"application/json")], "id", read_body, None)  # type: ignore[arg-type]  # never streamed
    try:
        message = await decode(request, CASES[case][1], CASES[case][2])
    except MlflowError as error:
        return error.message
    return as_dict(message)


def normalise(answer: Any) -> Any:
    """Absent required fields have their zero value with us; NaN equals itself."""
    if isinstance(answer, dict):
        return {key: normalise(value) for key, value in answer.items()}
    if isinstance(answer, list):
        return [normalise(item) for item in answer]
    if answer in (None, "", 0):
        return None
    if answer == "NaN" or answer != answer:
        return "nan"
    return float(answer) if answer in ("Infinity", "-Infinity") else answer


async def assert_same(body: bytes, case: str) -> None:
    stock, ours = stock_answer(body, case), await our_answer(body, case)
    if stock == "crashed":
        assert isinstance(ours, str), "stock answers 500; we must answer an error as well"
    else:
        if isinstance(stock, dict) and "run_uuid" in stock:
            stock["run_id"] = stock["run_id"] or stock["run_uuid"]
        assert normalise(ours) == normalise(stock)


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=150, deadline=None)
@given(request=request_objects)
async def test_reads_generated_json_as_stock_does(case: str, request: dict[str, Any]) -> None:
    await assert_same(json.dumps(request).encode(), case)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "body",
    [
        *(
            b"",
            b"{",
            b"null",
            b'"x"',
            b'"{}"',
            b'"{\\"run_id\\": \\"r\\"}"',
            b"\xff\xfe",
            b'{"run_id": "\xff"}',
            b"\xef\xbb\xbf{}",
        ),
        *(b'{"run_id": "r", "run_id": "s"}', '{"run_id": "r"}'.encode("utf-16")),
        *(b'{"value": 1' + b"0" * 400 + b"}", b'{"value": 1' + b"0" * 5000 + b"}"),
        b'{"run_id": "r", "key": "k", "value": "NaN", "timestamp": "12", "step": 1.0}',
        b'{"run_uuid": "r", "key": "k", "value": 1, "timestamp": 12}',
        b'{"run_id": "r", "key": "k", "value": NaN, "timestamp": 12}',
        b'{"run_id": "r", "metrics": [{"key": "a", "value": 1}, {"key": "b", "value": "x"}, {"key": "c"}]}',
        b'{"experiment_ids": ["1"], "max_results": "50001"}',
        b'{"experiment_ids": "1", "run_view_type": 3, "order_by": [1]}',
    ],
)
async def test_reads_odd_bodies_as_stock_does(case: str, body: bytes) -> None:
    await assert_same(body, case)


@pytest.mark.parametrize("body", [b"[]", b"[1]", b"3", b"true", b'"x"', b'"[]"', b"[" * 100_000, b'{"a":' * 100_000])
async def test_refuses_json_that_is_no_object_where_stock_fails_or_ignores_it(body: bytes) -> None:
    assert isinstance(await our_answer(body, "search-runs"), str)
