"""Searching registered models: filter, order and page → one statement that selects the names of a page.

Rules: SearchModelUtils in mlflow/utils/search_utils.py; search_registered_models,
_get_search_registered_model_filter_query and _parse_search_registered_models_order_by in
mlflow/store/model_registry/sqlalchemy_store.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlparse.sql import Token

from tracking_server.errors import invalid_parameter
from tracking_server.search.grammar import (
    Comparison,
    Kind,
    Value,
    enumerated,
    is_list,
    is_text,
    quoted_text,
    read_filter,
    remember,
    sides,
    text_list,
    text_value,
    unexpected_null_test,
)
from tracking_server.search.identifiers import registry_identifier
from tracking_server.search.order_by import duplicate_fields, parse_order_by
from tracking_server.search.page_token import parse_offset
from tracking_server.search.plan import SearchPlan
from tracking_server.search.registry import WORKSPACE, TagTable, registry_conditions, tag_value
from tracking_server.search.sql import StatementBuilder, direction, statement, where
from tracking_server.store.database import Dialect

_ATTRIBUTES = frozenset({"name"})
_ORDER_COLUMNS = {"name": "name", "timestamp": "last_updated_time", "last_updated_timestamp": "last_updated_time"}
_ORDER_KEYS_SHOWN = frozenset({"name", "timestamp"})
_COMPARATORS = frozenset({"=", "!=", "LIKE", "ILIKE", "IN", "NOT IN"})
_TAGS = TagTable("registered_model_tags", "t.workspace = s.workspace AND t.name = s.name")
_MOST_RESULTS = 1000


def registered_models_page(
    dialect: Dialect,
    max_results: int,
    filter_string: str | None,
    order_by: Sequence[str],
    page_token: str | None,
) -> SearchPlan:
    """The plan whose statement selects ``name``.

    Raises INVALID_PARAMETER_VALUE for bad input, BAD_REQUEST for values that stock's database refuses.
    """
    if max_results > _MOST_RESULTS:
        raise invalid_parameter(
            "Invalid value for request parameter max_results. It must be at most "
            f"{_MOST_RESULTS}, but got value {max_results}"
        )
    comparisons = parse_filter(filter_string) if filter_string else ()
    ordering = _ordering(order_by)
    offset = parse_offset(page_token)
    builder = StatementBuilder(dialect, len(comparisons))
    conditions = registry_conditions(builder, comparisons, _name_condition, _TAGS)
    query, arguments = statement(
        "search_registered_models",
        builder,
        (
            "SELECT s.name FROM registered_models AS s",
            where([f"s.workspace = '{WORKSPACE}'", *conditions]),
            f"ORDER BY {', '.join(ordering)}",
            builder.window(max_results, offset),
        ),
    )
    return SearchPlan(query, arguments, max_results, offset)


@remember
def parse_filter(text: str) -> tuple[Comparison, ...]:
    """The comparisons of a filter for registered models, comparators in upper case."""
    comparisons = []
    for clause in read_filter(text):
        identifier, comparator, token = sides(clause)
        if token is None:
            raise unexpected_null_test()
        kind, key = registry_identifier(identifier, _ATTRIBUTES)
        value = tag_value(token) if kind is Kind.TAG else _name_value(token)
        comparisons.append(Comparison(kind, key, comparator.upper(), value))
    return tuple(comparisons)


def parse_ordering(text: str) -> tuple[str, bool]:
    """The key that one item of order_by orders by, and whether it ascends."""
    key, ascending = parse_order_by(text)
    if key not in _ORDER_COLUMNS:
        raise invalid_parameter(
            f"Invalid order by key '{key}' specified. Valid keys are '{enumerated(_ORDER_KEYS_SHOWN)}'"
        )
    return key, ascending


def _name_value(token: Token) -> Value:
    if is_text(token):
        return quoted_text(token)
    if is_list(token):
        return text_list(token)
    raise invalid_parameter(
        f"Expected a quoted string value or a list of quoted string values for attributes. Got value {token.value}"
    )


def _name_condition(builder: StatementBuilder, comparison: Comparison) -> str:
    if comparison.comparator not in _COMPARATORS:
        raise invalid_parameter(f"Invalid comparator for attribute: {comparison.comparator}")
    return builder.condition("s.name", comparison.comparator, text_value(comparison))


def _ordering(order_by: Sequence[str]) -> list[str]:
    """The ORDER BY terms; each database puts NULLs where it likes."""
    terms: dict[str, str] = {}
    for text in order_by:
        key, ascending = parse_ordering(text)
        column = _ORDER_COLUMNS[key]
        if column in terms:
            raise duplicate_fields(order_by)
        terms[column] = direction(ascending)
    terms.setdefault("name", "ASC")
    return [f"s.{column} {way}" for column, way in terms.items()]
