"""runs_page against MLflow's parser, and against SqlAlchemyStore.search_runs on both databases."""

from __future__ import annotations

import base64
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.utils.search_utils import SearchUtils

from tracking_server.errors import ErrorCode
from tracking_server.search import runs
from tracking_server.store.database import Dialect
from unit.search import run_cases, samples
from unit.search.backends import Backend
from unit.search.outcomes import CRASH, Outcome, assert_same, of_ours, of_stock
from unit.search.texts import COMPARISONS, WORDS


def token(payload: object) -> str:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return base64.b64encode(raw).decode()


TOKENS = [
    None, "", token({"offset": 3}), token({"offset": "3"}), token({"offset": 2.9}), token({"offset": True}),
    token({"offset": 2**31}),
]  # fmt: skip
BAD_TOKENS = [
    "a", "!!!!", "%", "e30=", token({}), token({"offset": 0}), token({"offset": "x"}), token({"offset": None}),
    token({"offset": float("nan")}), token(b"\xff"), token(b"{"), token(b'{"offset": 1'),
]  # fmt: skip
CRASHING_TOKENS = [
    "é", token(b"null "), token("text"), token([1]), token(1), token({"offset": [1]}), token({"offset": {"a": 1}}),
    token({"offset": float("inf")}), token(b"[" * 100_000),
]  # fmt: skip


def outcomes(
    backend: Backend,
    filter_string: str | None = "",
    order_by: list[str] | None = None,
    page_token: str | None = None,
    *,
    experiment_ids: tuple[str, ...] = ("1", "2"),
    view: int = 3,
    max_results: int = 1000,
) -> tuple[Outcome, Outcome]:
    """Ids in order and the next page's token, as stock and as we find them."""

    def stock() -> object:
        found = backend.tracking.search_runs(
            list(experiment_ids), filter_string, view, max_results, order_by or [], page_token
        )
        return [run.info.run_id for run in found], found.token and found.token.decode()

    def ours() -> object:
        plan = runs.runs_page(
            backend.dialect, experiment_ids, view, max_results, filter_string, order_by or [], page_token
        )
        rows, next_token = plan.page(backend.run(plan))
        return [row[0] for row in rows], next_token

    return of_stock(stock), of_ours(ours)


@pytest.mark.parametrize("group", ["TEXT_TESTS", "NUMBER_TESTS", "OTHER_TESTS", "BAD"])
def test_filters(backend: Backend, group: str) -> None:
    tests: list[str] = getattr(run_cases, group)
    answered = 0
    for text in tests:
        stock, ours = outcomes(backend, text)
        assert_same(stock, ours)
        answered += stock.value not in (None, ([], None))
    assert answered > (0 if group == "BAD" else len(tests) / 3)


@pytest.mark.parametrize("group", ["ORDERS", "BAD_ORDERS", "CRASHING_ORDERS"])
def test_orders(backend: Backend, group: str) -> None:
    for order_by in getattr(run_cases, group):
        stock, ours = outcomes(backend, order_by=order_by)
        assert_same(stock, ours)
        assert (stock.code is None) == (group == "ORDERS"), order_by
        assert (stock.code == CRASH) == (group == "CRASHING_ORDERS"), order_by


def test_what_stock_crashes_over_is_a_clients_error(backend: Backend) -> None:
    for text in run_cases.CRASHING:
        stock, ours = outcomes(backend, text)
        assert stock.code == CRASH, text
        assert_same(stock, ours)


def test_what_the_databases_refuse(sqlite_backend: Backend, postgresql_backend: Backend) -> None:
    for text in run_cases.CRASHING_ON_SQLITE:
        stock, ours = outcomes(sqlite_backend, text)
        assert (stock.code, ours.code) == (CRASH, ErrorCode.INVALID_PARAMETER_VALUE)
    for text in run_cases.REFUSED_BY_SQLITE:
        assert_same(*outcomes(sqlite_backend, text))
        assert outcomes(postgresql_backend, text)[1].code == ErrorCode.BAD_REQUEST
    for text in run_cases.REFUSED_BY_POSTGRESQL:
        stock, ours = outcomes(postgresql_backend, text)
        assert (stock.code, ours.code) == (ErrorCode.BAD_REQUEST, ErrorCode.BAD_REQUEST)


def test_page_tokens(backend: Backend) -> None:
    for page_token in [*TOKENS, *BAD_TOKENS, *CRASHING_TOKENS]:
        stock, ours = outcomes(backend, page_token=page_token, max_results=4)
        assert_same(stock, ours)
        assert (stock.code == CRASH) == (page_token in CRASHING_TOKENS), page_token


@pytest.mark.parametrize("offset", [-1, 2**63, 2**70])
def test_offsets_no_database_can_skip(backend: Backend, offset: int) -> None:
    assert_same(*outcomes(backend, page_token=token({"offset": offset})))


@pytest.mark.parametrize("order_by", [[], ["metrics.m DESC", "params.p"]])
def test_pages_follow_one_another_on_stocks_tokens(backend: Backend, order_by: list[str]) -> None:
    seen: list[str] = []
    page_token = None
    while True:
        stock, ours = outcomes(backend, "tags.nothing IS NULL", order_by, page_token, max_results=7)
        assert_same(stock, ours)
        assert isinstance(ours.value, tuple)
        ids, page_token = ours.value
        seen += ids
        if page_token is None:
            break
    assert len(seen) == len(set(seen)) == len(samples.RUN_IDS)


SCOPES = [
    ("1",), ("2", "1", "2"), (" 1",), ("١",), ("-1",), ("",), ("x",), ("1.0",), (), ("1", "9" * 10), ("9" * 20,),
]  # fmt: skip


@pytest.mark.parametrize("view", [0, 1, 2, 3, 4])
def test_scope(backend: Backend, view: int) -> None:
    for experiment_ids in SCOPES:
        assert_same(*outcomes(backend, experiment_ids=experiment_ids, view=view))


@pytest.mark.parametrize("max_results", [-1, 0, 1, 50_000, 50_001])
def test_max_results(backend: Backend, max_results: int) -> None:
    assert_same(*outcomes(backend, max_results=max_results))


def test_several_errors_are_reported_in_stocks_order(backend: Backend) -> None:
    nowhere = ("x",)
    for stock, ours in (
        outcomes(backend, "x", ["'"], "a", experiment_ids=nowhere, max_results=0),
        outcomes(backend, "x", ["'"], "a", experiment_ids=nowhere),
        outcomes(backend, "params.p > 'x'", ["'"], "a", experiment_ids=nowhere),
        outcomes(backend, "params.p > 'x'", [], "a", experiment_ids=nowhere),
        outcomes(backend, "", [], "a", experiment_ids=nowhere),
        outcomes(backend, "", [], None, experiment_ids=nowhere),
    ):
        assert stock.code == ErrorCode.INVALID_PARAMETER_VALUE
        assert_same(stock, ours)


@settings(max_examples=600, deadline=None)
@given(
    st.one_of(
        st.text(max_size=30),
        st.lists(WORDS, max_size=9).map(" ".join),
        COMPARISONS,
    )
)
def test_any_text_is_parsed_as_stock_parses_it(text: str) -> None:
    def stock() -> object:
        parsed = SearchUtils.parse_search_filter(text)
        return [
            (
                each["type"],
                each["key"],
                each["comparator"].upper(),
                float(each["value"]) if each["type"] == "metric" else each["value"],
            )
            for each in parsed
        ]

    def ours() -> object:
        return [
            (each.kind, each.key, each.comparator, each.value) for each in (runs.parse_filter(text) if text else ())
        ]

    assert_same(of_stock(stock), of_ours(ours))


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(max_size=20), st.lists(WORDS | st.sampled_from(["desc", "ASC", "timestamp"]), max_size=4).map(" ".join)
    )
)
def test_any_order_is_parsed_as_stock_parses_it(text: str) -> None:
    def stock() -> object:
        kind, key, ascending = SearchUtils.parse_order_by_for_search_runs(text)
        return kind, SearchUtils.translate_key_alias(key), ascending

    def ours() -> object:
        return runs.parse_ordering(text)

    assert_same(of_stock(stock), of_ours(ours))


@pytest.mark.parametrize(
    "text", ["a " * 500_000, "params.p = '" + "x" * 100_000 + "'", "params.p = '" + "x y " * 15_000 + "'"]
)
def test_long_texts_are_answered_as_by_stock_but_soon(text: str) -> None:
    started = time.thread_time()
    ours = of_ours(lambda: [each.key for each in runs.parse_filter(text)])
    assert time.thread_time() - started < 5
    if text.startswith("a "):
        # Stock says the same a minute later.
        assert ours == Outcome(code="INVALID_PARAMETER_VALUE", message=f"Error on parsing filter '{text}'")
    else:
        assert_same(of_stock(lambda: [each["key"] for each in SearchUtils.parse_search_filter(text)]), ours)


def test_values_never_reach_the_statement() -> None:
    plan = runs.runs_page(
        Dialect.POSTGRESQL, ["1"], 1, 5, "params.`k'ey` = 'val\"ue' AND metrics.m > 77", ["tags.`o'rder`"], None
    )
    for value in ("k'ey", 'val"ue', "77", "o'rder"):
        assert value not in plan.query.postgresql
        assert (float(value) if value.isdigit() else value) in plan.arguments
