"""Searching model versions: filter, order and page → one statement that selects the names and versions of a page.

Rules: SearchModelVersionUtils in mlflow/utils/search_utils.py; search_model_versions,
_get_search_model_versions_filter_clauses and _parse_search_model_versions_order_by in
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
    is_number,
    is_text,
    number,
    quoted_text,
    read_filter,
    remember,
    sides,
    text_list,
    text_value,
    unexpected_null_test,
)
from tracking_server.search.identifiers import experiment_identifier, registry_identifier
from tracking_server.search.order_by import duplicate_fields, parse_order_by
from tracking_server.search.page_token import parse_offset
from tracking_server.search.plan import SearchPlan
from tracking_server.search.registry import WORKSPACE, TagTable, registry_conditions, tag_value
from tracking_server.search.sql import StatementBuilder, direction, statement, where
from tracking_server.store.database import Dialect

_COLUMNS = {"name": "name", "version_number": "version", "run_id": "run_id", "source_path": "source"}
_ATTRIBUTES = frozenset(_COLUMNS)
_NUMERIC = frozenset({"version_number"})
_NUMERIC_SHOWN = frozenset({"version_number", "creation_timestamp", "last_updated_timestamp"})
_LISTABLE = frozenset({"name", "run_id"})
_ORDER_COLUMNS = {
    "name": "name",
    "version_number": "version",
    "creation_timestamp": "creation_time",
    "last_updated_timestamp": "last_updated_time",
}
_ORDER_KEYS = frozenset(_ORDER_COLUMNS)
_DEFAULT_ORDER = ("last_updated_timestamp DESC", "name ASC", "version_number DESC")
_NUMBER_COMPARATORS = frozenset({">", ">=", "!=", "=", "<", "<="})
_TEXT_COMPARATORS = frozenset({"=", "!=", "LIKE", "ILIKE"})
_LIST_COMPARATORS = _TEXT_COMPARATORS | {"IN", "NOT IN"}
_TAGS = TagTable("model_version_tags", "t.workspace = s.workspace AND t.name = s.name AND t.version = s.version")
_MOST_RESULTS = 200_000
_DELETED_STAGE = "Deleted_Internal"


def model_versions_page(
    dialect: Dialect,
    max_results: int,
    filter_string: str | None,
    order_by: Sequence[str],
    page_token: str | None,
) -> SearchPlan:
    """The plan whose statement selects ``name, version``.

    Raises INVALID_PARAMETER_VALUE for bad input, BAD_REQUEST for values that stock's database refuses.
    """
    if max_results < 1:
        raise invalid_parameter(f"Invalid value for max_results. It must be a positive integer, but got {max_results}")
    if max_results > _MOST_RESULTS:
        raise invalid_parameter(
            "Invalid value for request parameter max_results. It must be at most "
            f"{_MOST_RESULTS}, but got value {max_results}"
        )
    comparisons = parse_filter(filter_string) if filter_string else ()
    builder = StatementBuilder(dialect, len(comparisons))
    conditions = registry_conditions(builder, comparisons, _attribute_condition, _TAGS)
    ordering = _ordering(order_by)
    offset = parse_offset(page_token)
    scope = [f"s.workspace = '{WORKSPACE}'", f"s.current_stage <> '{_DELETED_STAGE}'"]
    query, arguments = statement(
        "search_model_versions",
        builder,
        (
            "SELECT s.name, s.version FROM model_versions AS s",
            where([*scope, *conditions]),
            f"ORDER BY {', '.join(ordering)}",
            builder.window(max_results, offset),
        ),
    )
    return SearchPlan(query, arguments, max_results, offset)


@remember
def parse_filter(text: str) -> tuple[Comparison, ...]:
    """The comparisons of a filter for model versions, comparators in upper case."""
    comparisons = []
    for clause in read_filter(text):
        identifier, comparator, token = sides(clause)
        if token is None:
            raise unexpected_null_test()
        kind, key = registry_identifier(identifier, _ATTRIBUTES)
        value = tag_value(token) if kind is Kind.TAG else _attribute_value(key, token)
        comparisons.append(Comparison(kind, key, comparator.upper(), value))
    return tuple(comparisons)


def parse_ordering(text: str) -> tuple[Kind, str, bool]:
    """What one item of order_by orders by, and whether it ascends. Stock takes tags.name for the name."""
    identifier, ascending = parse_order_by(text)
    kind, key = experiment_identifier(identifier, _ORDER_KEYS)
    return kind, key, ascending


def _attribute_value(key: str, token: Token) -> Value:
    if is_text(token):
        return quoted_text(token)
    if is_list(token):
        if key not in _LISTABLE:
            raise invalid_parameter(
                f"Only {sorted(_LISTABLE)} attributes support comparison with a list of quoted string values."
            )
        return text_list(token)
    if not is_number(token):
        raise invalid_parameter(
            f"Expected a quoted string value or a list of quoted string values for attributes. Got value {token.value}"
        )
    if key not in _NUMERIC:
        raise invalid_parameter(
            f"Only the '{enumerated(_NUMERIC_SHOWN)}' attributes support comparison with numeric values."
        )
    return number(token)


def _attribute_condition(builder: StatementBuilder, comparison: Comparison) -> str:
    key, comparator, value = comparison.key, comparison.comparator, comparison.value
    column = f"s.{_COLUMNS[key]}"
    if key in _NUMERIC:
        if comparator not in _NUMBER_COMPARATORS:
            raise invalid_parameter(f"Invalid comparator for attribute {key}: {comparator}")
        return f"{column} {comparator} {builder.integer(_whole_number(key, value))}"
    if comparator not in (_LIST_COMPARATORS if key in _LISTABLE else _TEXT_COMPARATORS):
        raise invalid_parameter(f"Invalid comparator for attribute: {comparator}")
    return builder.condition(column, comparator, text_value(comparison))


def _whole_number(key: str, value: Value) -> int:
    if isinstance(value, str | int):
        try:
            return int(value)
        except ValueError:
            pass
    raise invalid_parameter(f"Invalid value for numeric attribute '{key}': {value!r}")


def _ordering(order_by: Sequence[str]) -> list[str]:
    """The ORDER BY terms; each database puts NULLs where it likes."""
    terms: dict[str, str] = {}
    for text in order_by or _DEFAULT_ORDER:
        _, key, ascending = parse_ordering(text)
        if key not in _ORDER_COLUMNS:
            raise invalid_parameter(f"Invalid order by key '{key}' specified. Valid keys are {enumerated(_ORDER_KEYS)}")
        column = _ORDER_COLUMNS[key]
        if column in terms:
            raise duplicate_fields(order_by)
        terms[column] = direction(ascending)
    terms.setdefault("name", "ASC")
    terms.setdefault("version", "DESC")
    return [f"s.{column} {way}" for column, way in terms.items()]
