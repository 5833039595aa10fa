"""logged_models_page against MLflow's parser, and against SqlAlchemyStore.search_logged_models on both databases."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.utils.search_logged_model_utils import parse_filter_string

from tracking_server.errors import ErrorCode, MlflowError
from tracking_server.search import logged_model_filter
from tracking_server.search.logged_models import DatasetFilter, LoggedModelOrder, logged_models_page
from tracking_server.store.database import Dialect
from unit.search.backends import Backend
from unit.search.outcomes import CRASH, Outcome, assert_same, of_ours, of_stock
from unit.search.texts import COMPARISONS, WORDS

GOOD = [
    "", "name = 'plain'", "name != 'plain'", "name LIKE 'pl%'", "name LIKE 'PL%'", "name ilike 'PL%'", "name = plain",
    "name = \"plain\"", "name = 5", "name LIKE 'a_b'", "name LIKE '[x]'", "name IN ('plain', 'PLAIN')",
    "name in ('plain')", "name NOT IN ('plain', \"PLAIN\")", "name not in ('a')", "name IN ()", "name NOT IN ()",
    "attributes.name = 'plain'", "`name` = 'plain'", "attributes.`name` != 'plain'", "model_id != 'x'",
    "model_type LIKE 'P%'", "model_type != 'x'", "model_type NOT IN ()",
    "source_run_id IN ('00000000000000000000000000000001')", "source_run_id != 'x'", "lifecycle_stage = 'active'",
    "status_message = 'x'", "artifact_location LIKE '%'", "creation_time > 1", "creation_timestamp >= 101",
    "creation_timestamp_ms = 101.0", "attributes.creation_timestamp_ms != 101", "last_updated_timestamp < 1e400",
    "last_updated_timestamp_ms <= 7", "creation_time > nan", "creation_time < inf", "metrics.m > 0", "metrics.m = 1",
    "metrics.m != 1", "metrics.m <= 1e308", "metrics.`m` < 0.5", "metrics.m = inf",
    "metrics.m > -1e400 AND metrics.m < 1", "metrics.m = nan", "metrics.m != nan", "metrics.nothing > 0",
    "params.p = 'plain'", "params.p LIKE '%a%'", "params.p != 'plain' and tags.t != 'x'", "tags.t ILIKE 'ünï'",
    "tags.`t` IN ('plain')", "tags.t NOT IN ('plain', 'PLAIN')", "params.p = 'x\\' OR 1=1'", "tags.a.b = 'x'",
    "params.p = '" + "x" * 5000 + "'", "name = 'plain' AND", "name LIKE 'a%' name != 'axb'", "AND name = 'plain'",
]  # fmt: skip
BAD = [
    " ", "(", "name", "name >", "name > 'a'", "name IS NULL", "tags.t IS NOT NULL", "metric.m > 1", "param.p = 'x'",
    "tag.t = 'x'", "attribute.name = 'x'", "foo.bar = 'x'", "metrics.m LIKE 1", "metrics.m IN (1)",
    "creation_time LIKE 5", "creation_time IN (5)", "name = 'a' OR name = 'b'", "name = 'a'; name = 'b'",
    "(name = 'a')", "NOT name = 'a'", "name = 'a", "name BETWEEN 'a' AND 'b'", "tags.t < 'x'", "tags.t = 'it's'",
    "params.p == 'x'", "name = 'a', name = 'b'", "(" * 200 + ")" * 200, "name IN (" + "'a'," * 6000 + ")",
]  # fmt: skip
CRASHING = [
    "creation_time > abc", "metrics.m > 'x'", "metrics.m > (1)", "foo = 'x'", "attributes.creation_time > 1",
    "`creation_time` > 1", "name IN (a)", "name IN ('a' + 'b')", "name = ('a' b)", "name = '\ud800'",
]  # fmt: skip
NOT_COPIED = [
    "name = (1)", "name IN (1,2)", "name IN ('plain', 1)", "name IN (1)", "name IN (b'x')", "name IN ({'plain'})",
    "name = (None)", "name = ('plain', 'x')", "name LIKE ('plain')", "status IN (1, 2)", "status = (1)",
]  # fmt: skip
"""Lists that mean something to no one; stock answers 200 or BAD_REQUEST, depending on the database's driver."""
ORDERS = [
    [], ["name"], ["-name"], ["creation_time"], ["-creation_timestamp"], ["creation_timestamp_ms", "-name"],
    ["model_type"], ["-model_type", "model_id"], ["status", "-model_id"], ["-last_updated_timestamp"],
    ["source_run_id"], ["metrics.m"], ["-metrics.m"], ["metrics.m|data1"], ["-metrics.m|data0|digest1"],
    ["metrics.m||digest0"], ["metrics.nothing", "-name"], ["metrics.m|data0", "-metrics.m|data1", "name", "name"],
    ["experiment_id", "artifact_location", "lifecycle_stage"],
]  # fmt: skip
BAD_ORDERS = [["foo"], [""], ["params.p"], ["attributes.name"], ["metric.m"], ["`name`"], ["name", "tags.t"]]
CRASHING_ORDERS = [["tags"], ["metadata"], ["registry"], ["to_mlflow_entity"], ["__class__"]]
DATASETS: list[list[DatasetFilter]] = [
    [DatasetFilter("data0")], [DatasetFilter("data0", "digest0")], [DatasetFilter("data1", "digest1")],
    [DatasetFilter("data0"), DatasetFilter("data1", "digest0")], [DatasetFilter("none")],
]  # fmt: skip


def order(text: str) -> LoggedModelOrder:
    """``-field|dataset|digest`` as an item of order_by."""
    field, dataset, digest = [*text.removeprefix("-").split("|"), "", ""][:3]
    return LoggedModelOrder(field, not text.startswith("-"), dataset or None, digest or None)


def outcomes(
    backend: Backend,
    text: str | None = None,
    order_by: list[str] | None = None,
    page_token: str | None = None,
    *,
    datasets: list[DatasetFilter] | None = None,
    experiment_ids: tuple[str, ...] = ("1", "2"),
    max_results: int | None = 1000,
) -> tuple[Outcome, Outcome]:
    """Ids in order and the next page's token, as stock's REST handler calls its store, and as we find them."""
    orders = [order(each) for each in order_by or []]
    # The REST handler puts None where the store declares a string.
    stock_datasets: Any = [asdict(each) for each in datasets or []]

    def stock() -> object:
        found = backend.tracking.search_logged_models(
            list(experiment_ids),
            text or None,
            stock_datasets or None,
            max_results or None,
            [asdict(each) for each in orders] or None,
            page_token,
        )
        return [each.model_id for each in found], found.token

    def ours() -> object:
        plan = logged_models_page(
            backend.dialect, experiment_ids, max_results, text, datasets or [], orders, page_token
        )
        rows, next_token = plan.page(backend.run(plan))
        return [row[0] for row in rows], next_token

    return of_stock(stock), of_ours(ours)


def test_filters(backend: Backend) -> None:
    found = 0
    for text in GOOD:
        for datasets in ([], *DATASETS) if "metrics" in text else ([],):
            stock, ours = outcomes(backend, text, datasets=datasets)
            assert stock.code is None, (text, stock)
            assert_same(stock, ours)
            found += stock.value != ([], None)
    assert found > len(GOOD) / 2


def test_bad_filters(backend: Backend) -> None:
    for text in BAD:
        stock, ours = outcomes(backend, text)
        assert stock.code == ErrorCode.INVALID_PARAMETER_VALUE, (text, stock)
        assert_same(stock, ours)


def test_what_stock_crashes_over_is_a_clients_error(backend: Backend) -> None:
    for text in CRASHING:
        stock, ours = outcomes(backend, text)
        assert stock.code == CRASH, (text, stock)
        assert_same(stock, ours)
    for text in ("tags = 'x'", "metadata = 'x'", "to_mlflow_entity = 'x'"):
        # Python finds something under these names, and what comes of comparing with it is no answer.
        assert outcomes(backend, text)[1].code == ErrorCode.INVALID_PARAMETER_VALUE


def test_lists_of_anything_but_strings_are_refused(backend: Backend) -> None:
    for text in NOT_COPIED:
        stock, ours = outcomes(backend, text)
        assert stock.code in (None, ErrorCode.BAD_REQUEST), (text, stock)
        assert ours.code == ErrorCode.BAD_REQUEST, (text, ours)


def test_integers_compare_with_text_on_sqlite_only(backend: Backend) -> None:
    for text in ("status = '1'", "status != 'READY'", "status LIKE '%'", "status IN ('1')", "experiment_id ILIKE '1'"):
        assert_same(*outcomes(backend, text))


def test_datasets(backend: Backend) -> None:
    for datasets in DATASETS:
        for text in (None, "name LIKE '%a%'", "metrics.m > -2 AND params.p != 'x'"):
            assert_same(*outcomes(backend, text, datasets=datasets))
    assert_same(*outcomes(backend, datasets=[DatasetFilter("data0"), DatasetFilter("")]))


def test_orders(backend: Backend) -> None:
    for order_by in ORDERS:
        stock, ours = outcomes(backend, order_by=order_by)
        assert stock.code is None, (order_by, stock)
        assert_same(stock, ours)
    for order_by in BAD_ORDERS:
        stock, ours = outcomes(backend, order_by=order_by)
        assert stock.code == ErrorCode.INVALID_PARAMETER_VALUE, (order_by, stock)
        assert_same(stock, ours)
    for order_by in CRASHING_ORDERS:
        stock, ours = outcomes(backend, order_by=order_by)
        assert stock.code == CRASH, (order_by, stock)
        assert_same(stock, ours)


def test_an_unknown_order_is_classified_as_stock_classifies_it(sqlite_backend: Backend) -> None:
    with pytest.raises(MlflowException) as theirs:
        sqlite_backend.tracking.search_logged_models(["1"], order_by=[{"field_name": "foo"}])
    with pytest.raises(MlflowError) as ours:
        logged_models_page(Dialect.SQLITE, ["1"], 5, None, [], [LoggedModelOrder("foo")], None)
    assert json.loads(ours.value.body()) == json.loads(theirs.value.serialize_as_json())


@pytest.mark.parametrize("order_by", [[], ["-metrics.m|data0", "name"]])
def test_pages_follow_one_another_on_stocks_tokens(backend: Backend, order_by: list[str]) -> None:
    page_token = None
    pages = 0
    while True:
        stock, ours = outcomes(backend, "name != 'ünï'", order_by, page_token, max_results=4)
        assert_same(stock, ours)
        assert isinstance(ours.value, tuple)
        pages += 1
        page_token = ours.value[1]
        if page_token is None:
            break
        for text, other in (("name != 'x'", order_by), ("name != 'ünï'", ["name"])):
            assert_same(*outcomes(backend, text, other, page_token))
        assert_same(*outcomes(backend, "name != 'ünï'", order_by, page_token, experiment_ids=("1",)))
    assert pages > 2


def token(payload: object) -> str:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return base64.b64encode(raw).decode()


def test_page_tokens(backend: Backend) -> None:
    right = {"experiment_ids": ["1", "2"], "filter_string": None, "order_by": None, "offset": 2}
    for page_token in (
        token(right), token(right | {"offset": "2"}), token(right | {"offset": 2.5}), token(right | {"offset": None}),
        token(right | {"offset": -1}), token(right | {"offset": 2**70}), token(right | {"offset": [1]}),
        token(right | {"offset": "x"}), token(right | {"filter_string": "", "order_by": []}),
        token(right | {"order_by": [{"field_name": "name"}]}), token({}), token([1]), token(b"{"), token(b"\xff"),
        token(b"null"),
        "a", "!!", "é", token(b"[" * 100_000),
    ):  # fmt: skip
        assert_same(*outcomes(backend, page_token=page_token))


def test_limits_and_scope(backend: Backend) -> None:
    for max_results in (None, 0, 1, -1, -2, 10**6, 2**70):
        assert_same(*outcomes(backend, max_results=max_results))
    for experiment_ids in (("1",), ("2", "2", "77"), ("x",), (), ("9" * 10,), ("9" * 20,)):
        assert_same(*outcomes(backend, experiment_ids=experiment_ids))


@settings(max_examples=400, deadline=None)
@given(st.text(max_size=30) | st.lists(WORDS, max_size=9).map(" ".join) | COMPARISONS)
def test_any_text_is_parsed_as_stock_parses_it(text: str) -> None:
    stock = of_stock(
        lambda: [
            (each.entity.type.value, each.entity.key, each.op, usable(each.value)) for each in parse_filter_string(text)
        ]
    )
    prefixes = {"attribute": "attributes", "metric": "metrics", "parameter": "params", "tag": "tags"}
    ours = of_ours(
        lambda: [
            (prefixes[each.kind], each.key, each.comparator, usable(each.value))
            for each in (logged_model_filter.parse_filter(text) if text else ())
        ]
    )
    assert_same(stock, ours)


def usable(value: object) -> str | None:
    """The value in comparable form (a NaN equals itself), None for lists of anything but strings, see NOT_COPIED."""
    if isinstance(value, tuple | list):
        return repr(tuple(value)) if all(isinstance(each, str) for each in value) else None
    return repr(value) if isinstance(value, str | float) else None
