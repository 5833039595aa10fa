"""experiments_page against MLflow's parser, and against SqlAlchemyStore.search_experiments on both databases."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.utils.search_utils import SearchExperimentsUtils

from tracking_server.errors import ErrorCode
from tracking_server.search import experiments
from unit.search.backends import Backend
from unit.search.outcomes import CRASH, Outcome, assert_same, of_ours, of_stock
from unit.search.texts import COMPARISONS, WORDS

GOOD = [
    "", "name = 'first'", "name != 'first'", "name LIKE 'f%'", "name LIKE 'F%'", "name ILIKE 'f%'", "name LIKE 'a_b'",
    "name LIKE '%!%%'", "name ILIKE '%ÜNÏ%'", "name ILIKE 'ünï%'", "attribute.name = 'FIRST'", "`name` = 'first'",
    "attribute.\"name\" = \"first\"", "experiment_id = '1'", "experiment_id != '1'",
    "experiment_id IN ('1', '2', '77')", "experiment_id NOT IN ('1', ' 2 ')", "creation_time > 5",
    "creation_time = 10", "creation_time != 10", "creation_time <= 10 AND last_update_time >= 10",
    "last_update_time < -1", "tags.kind = 'plain'", "tag.kind != 'plain'", "tags.kind LIKE 'pl%'",
    "tags.kind ILIKE 'PL%'", "tags.dotted.key = 'x'", "tags.`dotted.key` = 'x' AND tags.kind = 'PLAIN'",
    "tags.only IS NULL", "tags.only IS NOT NULL", "tags.only is null and name = 'a_b'", "tags.\"only\" = 'Here'",
    "tags.`it's` IS NULL", "name = 'x\\' OR 1=1 --'", "name = '" + "x" * 5000 + "'", "tags.created IS NULL",
]  # fmt: skip
BAD = [
    " ", "(", "name", "name = first", "name = 5", "name IN ('a')", "name like 'f%'", "name ilike 'f%'", "name > 'a'",
    "name IS NULL", "name = ('a')", "creation_time = '5'", "creation_time = 5.0", "creation_time > 1e3",
    "creation_time IS NULL", "creation_time LIKE 5", "creation_time IN (5)", "creation_time = ('5')",
    "experiment_id = 1", "experiment_id = 'x'", "experiment_id LIKE '1'", "experiment_id > '1'",
    "experiment_id IN ()", "experiment_id IN (1)", "experiment_id IN ('x')", "experiment_id IN ('1', 2)",
    "experiment_id IS NULL", "tags.kind > 'x'", "tags.kind like 'x'", "tags.kind = 5", "tags.kind = ('x')",
    "tags.kind IN ('x')", "tags = 'x'", "params.p = 'x'", "metrics.m > 1", "foo.bar = 'x'", "foo = 'x'",
    "attributes.name = 'x'", "`tags`.kind = 'x'", "name = 'a' OR name = 'b'", "name = 'a'; name = 'b'",
    "NOT name = 'a'", "(name = 'a')", "experiment_id in ('1')", "name = 'a", "lifecycle_stage = 'active'",
    "tags.kind IS 'x'", "name == 'a'",
]  # fmt: skip
CRASHING = ["experiment_id IN (x)", "creation_time > " + "9" * 5000, "name = '\ud800'", "tags.`\ud800` IS NULL"]
ORDERS = [
    [], ["name"], ["name DESC"], ["creation_time"], ["creation_time DESC"], ["last_update_time", "name desc"],
    ["experiment_id"], ["experiment_id DESC", "name"], ["attribute.name asc"], ["`name`"], ["name", "name"],
    ["name", "name DESC"],
]  # fmt: skip
BAD_ORDERS = [
    [""], ["foo"], ["tags.kind"], ["tag.name desc"], ["metrics.m"], ["name foo"], ["name desc asc"], ["timestamp"],
    ["'name'"], ["name, creation_time"], ["attributes.name"],
]  # fmt: skip


def outcomes(
    backend: Backend,
    filter_string: str | None = "",
    order_by: list[str] | None = None,
    page_token: str | None = None,
    *,
    view: int = 3,
    max_results: int = 1000,
) -> tuple[Outcome, Outcome]:
    """Ids in order and the next page's token, as stock and as we find them."""

    def stock() -> object:
        found = backend.tracking.search_experiments(view, max_results, filter_string, order_by or [], page_token)
        return [int(each.experiment_id) for each in found], found.token and found.token.decode()

    def ours() -> object:
        plan = experiments.experiments_page(
            backend.dialect, view, max_results, filter_string, order_by or [], page_token
        )
        rows, next_token = plan.page(backend.run(plan))
        return [row[0] for row in rows], next_token

    return of_stock(stock), of_ours(ours)


@pytest.mark.parametrize("view", [0, 1, 2, 3])
def test_filters(backend: Backend, view: int) -> None:
    for text in GOOD:
        stock, ours = outcomes(backend, text, view=view)
        assert stock.code is None, (text, stock)
        assert_same(stock, ours)


def test_bad_filters(backend: Backend) -> None:
    for text in BAD:
        stock, ours = outcomes(backend, text)
        assert stock.code not in (None, CRASH, ErrorCode.BAD_REQUEST), (text, stock)
        assert_same(stock, ours)


def test_what_stock_crashes_over_is_a_clients_error(backend: Backend) -> None:
    for text in CRASHING:
        stock, ours = outcomes(backend, text)
        assert stock.code == CRASH, text
        assert_same(stock, ours)


def test_what_the_databases_refuse(backend: Backend) -> None:
    for text in ("creation_time > 99999999999999999999", "experiment_id = '9999999999'", "experiment_id = ('1','2')"):
        assert_same(*outcomes(backend, text))


@pytest.mark.parametrize("orders", [ORDERS, BAD_ORDERS], ids=["good", "bad"])
def test_orders(backend: Backend, orders: list[list[str]]) -> None:
    for order_by in orders:
        stock, ours = outcomes(backend, order_by=order_by)
        assert (stock.code is None) == (orders is ORDERS), (order_by, stock)
        assert_same(stock, ours)


def test_pages_and_limits(backend: Backend) -> None:
    first, ours = outcomes(backend, max_results=2)
    assert_same(first, ours)
    assert isinstance(first.value, tuple)
    assert first.value[1]
    assert_same(*outcomes(backend, page_token=first.value[1], max_results=3))
    for max_results in (-1, 0, 1, 50_000, 50_001):
        assert_same(*outcomes(backend, max_results=max_results))
    assert_same(*outcomes(backend, page_token="nonsense"))


def test_several_errors_are_reported_in_stocks_order(backend: Backend) -> None:
    for stock, ours in (
        outcomes(backend, "x", ["'"], "a", max_results=0),
        outcomes(backend, "x", ["'"], "a"),
        outcomes(backend, "name > 'x'", ["'"], "a"),
        outcomes(backend, "", ["'"], "a"),
    ):
        assert stock.code == ErrorCode.INVALID_PARAMETER_VALUE
        assert_same(stock, ours)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=30) | st.lists(WORDS, max_size=9).map(" ".join) | COMPARISONS)
def test_any_text_is_parsed_as_stock_parses_it(text: str) -> None:
    def stock() -> object:
        parsed = SearchExperimentsUtils.parse_search_filter(text)
        return [(each["type"], each["key"], each["comparator"], each["value"]) for each in parsed]

    def ours() -> object:
        return [
            (each.kind, each.key, each.comparator, each.value)
            for each in (experiments.parse_filter(text) if text else ())
        ]

    assert_same(of_stock(stock), of_ours(ours))


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=20) | st.lists(WORDS | st.sampled_from(["desc", "ASC", "name"]), max_size=4).map(" ".join))
def test_any_order_is_parsed_as_stock_parses_it(text: str) -> None:
    stock = of_stock(lambda: SearchExperimentsUtils.parse_order_by_for_search_experiments(text))
    assert_same(stock, of_ours(lambda: experiments.parse_ordering(text)))
