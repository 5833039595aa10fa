"""registered_models_page and model_versions_page against MLflow's parsers and the registry's SqlAlchemyStore."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.utils.search_utils import SearchModelUtils, SearchModelVersionUtils, SearchUtils

from tracking_server.errors import ErrorCode
from tracking_server.search import model_versions, registered_models
from unit.search import samples
from unit.search.backends import Backend
from unit.search.outcomes import CRASH, Outcome, assert_same, of_ours, of_stock
from unit.search.texts import COMPARISONS, WORDS

PROMPTS = [
    f"tags.`mlflow.prompt.is_prompt` {comparator} '{value}'"
    for comparator in ("=", "!=", "LIKE", "ILIKE")
    for value in ("true", "false", "TRUE", "False", "x")
]
BOTH_GOOD = [
    "", "name = 'plain'", "name != 'plain'", "name LIKE 'pl%'", "name LIKE 'a_b'", "name like 'a*b'",
    "name ILIKE 'A%B'", "name LIKE '[x]'", "name LIKE '%\\\\\\\\%'", "name = 'it''s'", "name = \"it's\"",
    "name ilike 'ün%'", "name IN ('plain', 'PLAIN', 'none')", "name not in ('plain', \"it's\")",
    "name NOT IN ('a%b')", "attribute.name = '-'", "tags.t = 'plain'", "tag.t != 'plain'", "tags.t LIKE 'P%'",
    "tags.t ilike 'p%'", "tags.`t` = 'PLAIN'", "tags.\"t\" = 'x'", "tags.t LIKE '%' AND tags.n = '1'",
    "tags.t LIKE '%a%' AND tags.t != 'plain'", "tags.t LIKE 'a%' AND name LIKE 'a%'",
    "tags.`mlflow.prompt.is_prompt` = 'true' AND tags.`mlflow.prompt.is_prompt` != 'true'",
    "tags.`mlflow.prompt.is_prompt` = 'false' AND tags.`mlflow.prompt.is_prompt` = 'true' AND name LIKE '%'",
    "name LIKE 'a%' name != 'axb'", "tags.mlflow.prompt.is_prompt = 'true' AND tags.n = '1'", "name = 'x\\' OR 1=1'",
    "name = '" + "x" * 5000 + "'", *PROMPTS,
]  # fmt: skip
BOTH_BAD = [
    " ", "(", "name", "name = plain", "name > 'a'", "name IN ()", "name IN (1)", "name IN ('a', 1)",
    "name BETWEEN 'a' AND 'b'", "`name` = 'x'", "attribute.`name` = 'x'", "attributes.name = 'x'", "foo = 'x'",
    "foo.bar = 'x'", "params.p = 'x'", "tags.t = 5", "tags.t = ('x')", "tags.t IN ('x')", "tags.t > 'x'",
    "tags = 'x'", "`tags`.t = 'x'", "name = 'a' OR name = 'b'", "name = 'a'; name = 'b'", "(name = 'a')",
    "NOT name = 'a'", "name = 'a", "tags.t >= 'a' AND name > 'a'", "name > 'a' AND tags.t > 'b'",
    "creation_timestamp > 1", "name == 'a'", "tags.t < 5", "name = 5",
]  # fmt: skip
BOTH_CRASHING = ["name IS NULL", "tags.t IS NULL", "tags.t is not null", "name IN (x)"]
LISTS = ["name = ('a', 'b')", "name LIKE ('a')", "name != ('plain')"]
"""Refused by SQLite only: PostgreSQL compares with the text (a,b)."""


@dataclass(frozen=True)
class Family:
    """What differs between the two searches."""

    search: Callable[..., Outcome]
    plan: Callable[..., Outcome]
    good: list[str]
    bad: list[str]
    crashing: list[str]
    orders: list[list[str]]
    bad_orders: list[list[str]]
    limits: list[int]


def registered_by_stock(
    backend: Backend, text: str, order_by: list[str], page_token: str | None, max_results: int
) -> Outcome:
    def call() -> object:
        found = backend.registry.search_registered_models(text, max_results, order_by, page_token)
        return [(each.name,) for each in found], found.token and found.token.decode()

    return of_stock(call)


def registered_by_us(
    backend: Backend, text: str, order_by: list[str], page_token: str | None, max_results: int
) -> Outcome:
    def call() -> object:
        plan = registered_models.registered_models_page(backend.dialect, max_results, text, order_by, page_token)
        return plan.page(backend.run(plan))

    return of_ours(call)


def versions_by_stock(
    backend: Backend, text: str, order_by: list[str], page_token: str | None, max_results: int
) -> Outcome:
    def call() -> object:
        found = backend.registry.search_model_versions(text, max_results, order_by, page_token)
        return [(each.name, each.version) for each in found], found.token and found.token.decode()

    return of_stock(call)


def versions_by_us(
    backend: Backend, text: str, order_by: list[str], page_token: str | None, max_results: int
) -> Outcome:
    def call() -> object:
        plan = model_versions.model_versions_page(backend.dialect, max_results, text, order_by, page_token)
        return plan.page(backend.run(plan))

    return of_ours(call)


REGISTERED_ORDERS = [
    [], ["name"], ["name DESC"], ["timestamp"], ["timestamp DESC"], ["last_updated_timestamp"],
    ["timestamp ASC", "name DESC"], ["`name` desc"],
]  # fmt: skip
REGISTERED_BAD_ORDERS = [
    [""], ["foo"], ["tags.name"], ["attribute.name"], ["creation_timestamp"], ["name", "name desc"], ["`name`"],
    ["timestamp", "last_updated_timestamp desc"], ["name foo"], ["name desc asc"], ["'name'"], ["timestamp foo"],
]  # fmt: skip
VERSION_ORDERS = [
    [], ["name"], ["name DESC"], ["version_number"], ["creation_timestamp DESC"],
    ["last_updated_timestamp", "version_number"], ["tags.name desc"], ["attribute.`name`"],
    ["version_number desc", "name desc"],
]  # fmt: skip
VERSION_BAD_ORDERS = [
    [""], ["foo"], ["tags.t"], ["metrics.m"], ["version"], ["timestamp"], ["run_id"], ["name", "name desc"],
    ["name foo"], ["name", "tags.name"], ["'name'"],
]  # fmt: skip
FAMILIES = {
    "registered models": Family(
        registered_by_stock, registered_by_us, BOTH_GOOD, BOTH_BAD, BOTH_CRASHING, REGISTERED_ORDERS,
        REGISTERED_BAD_ORDERS, [-1, 0, 1, 5, 1000, 1001],
    ),
    "model versions": Family(
        versions_by_stock,
        versions_by_us,
        [
            *BOTH_GOOD, "version_number = 1", "version_number > 1", "version_number != '1'", "version_number <= ' 2 '",
            "version_number >= 2 AND name LIKE 'a%'", "source_path = 'source/plain'", "source_path LIKE 'SOURCE%'",
            "source_path ILIKE 'SOURCE%'", "source_path != 'x'", f"run_id = '{samples.RUN_IDS[1]}'", "run_id != 'x'",
            f"run_id IN ('{samples.RUN_IDS[1]}', '{samples.RUN_IDS[3]}')", "run_id NOT IN ('x')", "run_id LIKE '0%'",
            "tags.v = '1' AND version_number = 1", "attribute.version_number < 3", "tags.v != '2' AND tags.t LIKE '%'",
        ],
        [
            *BOTH_BAD, "version_number LIKE 1", "version_number = 1.0", "version_number = 'x'",
            "version_number IN ('1')", "version_number = ('1')", "version_number = '" + "9" * 5000 + "'",
            "source_path IN ('x')", "run_id = 5", "run_id > 'a'", "version = 1",
            "version_number = x", "source_path = 1.5",
        ],
        [*BOTH_CRASHING, "version_number = " + "9" * 5000, "run_id IN (x)"],
        VERSION_ORDERS,
        VERSION_BAD_ORDERS,
        [-1, 0, 1, 5, 200_000, 200_001],
    ),
}  # fmt: skip


@pytest.fixture(params=list(FAMILIES))
def family(request: pytest.FixtureRequest) -> Family:
    name: str = request.param
    return FAMILIES[name]


def outcomes(
    family: Family,
    backend: Backend,
    text: str = "",
    order_by: list[str] | None = None,
    page_token: str | None = None,
    max_results: int = 1000,
) -> tuple[Outcome, Outcome]:
    """The page's rows in order and the next page's token, as stock and as we find them."""
    arguments = (backend, text, order_by or [], page_token, max_results)
    return family.search(*arguments), family.plan(*arguments)


def test_filters(family: Family, backend: Backend) -> None:
    found = 0
    for text in family.good:
        stock, ours = outcomes(family, backend, text)
        assert stock.code is None, (text, stock)
        assert_same(stock, ours)
        found += stock.value != ([], None)
    assert found > len(family.good) / 2


def test_bad_filters(family: Family, backend: Backend) -> None:
    for text in family.bad:
        stock, ours = outcomes(family, backend, text)
        assert stock.code == ErrorCode.INVALID_PARAMETER_VALUE, (text, stock)
        assert_same(stock, ours)


def test_what_stock_crashes_over_is_a_clients_error(family: Family, backend: Backend) -> None:
    for text in family.crashing:
        stock, ours = outcomes(family, backend, text)
        assert stock.code == CRASH, (text, stock)
        assert_same(stock, ours)


def test_lists_are_not_compared_with_single_names(
    family: Family, sqlite_backend: Backend, postgresql_backend: Backend
) -> None:
    for text in LISTS:
        assert_same(*outcomes(family, sqlite_backend, text))
        assert outcomes(family, postgresql_backend, text)[1].code == ErrorCode.BAD_REQUEST


def test_numbers_out_of_range(backend: Backend) -> None:
    for text in ("version_number = 99999999999999999999", "version_number < '9999999999'"):
        assert_same(*outcomes(FAMILIES["model versions"], backend, text))


def test_orders(family: Family, backend: Backend) -> None:
    for order_by in family.orders:
        stock, ours = outcomes(family, backend, "name LIKE '%'", order_by)
        assert stock.code is None, (order_by, stock)
        assert_same(stock, ours)
    for order_by in family.bad_orders:
        stock, ours = outcomes(family, backend, "", order_by)
        assert stock.code not in (None, CRASH), (order_by, stock)
        assert_same(stock, ours)


def test_pages_and_limits(family: Family, backend: Backend) -> None:
    for max_results in family.limits:
        first, ours = outcomes(family, backend, max_results=max_results)
        assert_same(first, ours)
        if isinstance(first.value, tuple) and first.value[1] and max_results > 0:
            assert_same(*outcomes(family, backend, page_token=first.value[1], max_results=max_results))
    for page_token in ("nonsense", "a", "W10="):
        assert_same(*outcomes(family, backend, page_token=page_token))


def test_several_errors_are_reported_in_stocks_order(family: Family, backend: Backend) -> None:
    for stock, ours in (
        outcomes(family, backend, "x", ["'"], "a", 10**6),
        outcomes(family, backend, "x", ["'"], "a"),
        outcomes(family, backend, "", ["'"], "a"),
    ):
        assert stock.code == ErrorCode.INVALID_PARAMETER_VALUE
        assert_same(stock, ours)


def as_tuples(parsed: list[dict[str, object]]) -> list[tuple[object, ...]]:
    return [(each["type"], each["key"], each["comparator"], each["value"]) for each in parsed]


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=30) | st.lists(WORDS, max_size=9).map(" ".join) | COMPARISONS)
def test_any_text_is_parsed_as_stock_parses_it(text: str) -> None:
    assert_same(
        of_stock(lambda: as_tuples(SearchModelUtils.parse_search_filter(text))),
        of_ours(lambda: [astuple(each) for each in (registered_models.parse_filter(text) if text else ())]),
    )
    assert_same(
        of_stock(lambda: as_tuples(SearchModelVersionUtils.parse_search_filter(text))),
        of_ours(lambda: [astuple(each) for each in (model_versions.parse_filter(text) if text else ())]),
    )


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=20) | st.lists(WORDS | st.sampled_from(["desc", "ASC", "name"]), max_size=4).map(" ".join))
def test_any_order_is_parsed_as_stock_parses_it(text: str) -> None:
    assert_same(
        of_stock(lambda: SearchUtils.parse_order_by_for_search_registered_models(text)),
        of_ours(lambda: registered_models.parse_ordering(text)),
    )
    assert_same(
        of_stock(lambda: SearchModelVersionUtils.parse_order_by_for_search_model_versions(text)),
        of_ours(lambda: model_versions.parse_ordering(text)),
    )
