"""Searching experiments: filter, order and page → one statement that selects the experiment ids of a page.

Rules: SearchExperimentsUtils in mlflow/utils/search_utils.py; _search_experiments,
_get_search_experiments_filter_clauses and _get_search_experiments_order_by_clauses in
mlflow/store/tracking/sqlalchemy_store.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlparse.sql import Token

from tracking_server.errors import invalid_parameter
from tracking_server.search.grammar import (
    IS_NOT_NULL,
    IS_NULL,
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
)
from tracking_server.search.identifiers import experiment_identifier
from tracking_server.search.order_by import parse_order_by
from tracking_server.search.page_token import parse_offset
from tracking_server.search.plan import SearchPlan
from tracking_server.search.sql import (
    StatementBuilder,
    bad_request,
    check_tracking_max_results,
    direction,
    in_view,
    statement,
    where,
)
from tracking_server.store.database import Dialect
from tracking_server.validation import parse_experiment_id

_ATTRIBUTES = frozenset({"name", "experiment_id", "creation_time", "last_update_time"})
_NUMERIC = frozenset({"creation_time", "last_update_time"})
_DEFAULT_ORDER = ("creation_time DESC", "experiment_id ASC")

_NUMBER_COMPARATORS = frozenset({">", ">=", "!=", "=", "<", "<="})
_LIST_COMPARATORS = frozenset({"!=", "=", "LIKE", "ILIKE", "IN", "NOT IN"})
_TEXT_COMPARATORS = frozenset({"!=", "=", "LIKE", "ILIKE"})


def experiments_page(
    dialect: Dialect,
    view_type: int,
    max_results: int,
    filter_string: str | None,
    order_by: Sequence[str],
    page_token: str | None,
) -> SearchPlan:
    """The plan whose statement selects ``experiment_id`` (an integer).

    ``view_type`` is one of sql.ACTIVE_ONLY, DELETED_ONLY and ALL. Raises INVALID_PARAMETER_VALUE for bad input,
    BAD_REQUEST for values that stock's database refuses.
    """
    check_tracking_max_results(max_results)
    comparisons = parse_filter(filter_string) if filter_string else ()
    builder = StatementBuilder(dialect, len(comparisons))
    conditions = [_condition(builder, comparison) for comparison in comparisons]
    ordering = _ordering(order_by)
    offset = parse_offset(page_token)
    query, arguments = statement(
        "search_experiments",
        builder,
        (
            "SELECT e.experiment_id FROM experiments AS e",
            where([in_view("e.lifecycle_stage", view_type), *conditions]),
            f"ORDER BY {', '.join(ordering)}",
            builder.window(max_results, offset),
        ),
    )
    return SearchPlan(query, arguments, max_results, offset)


@remember
def parse_filter(text: str) -> tuple[Comparison, ...]:
    """The comparisons of an experiment filter, comparators as written, not yet checked against their keys."""
    comparisons = []
    for clause in read_filter(text):
        identifier, comparator, token = sides(clause)
        kind, key = experiment_identifier(identifier, _ATTRIBUTES)
        if token is None and kind is not Kind.TAG:
            raise invalid_parameter(f"IS NULL / IS NOT NULL is only supported for tags, not for attribute '{key}'")
        value = None if token is None else _value(kind, key, token)
        comparisons.append(Comparison(kind, key, comparator, value))
    return tuple(comparisons)


def parse_ordering(text: str) -> tuple[Kind, str, bool]:
    """What one item of order_by orders by, and whether it ascends."""
    identifier, ascending = parse_order_by(text)
    kind, key = experiment_identifier(identifier, _ATTRIBUTES)
    return kind, key, ascending


def _value(kind: Kind, key: str, token: Token) -> Value:
    if kind is Kind.TAG:
        if not is_text(token):
            raise invalid_parameter(
                f"Expected a quoted string value for {kind} (e.g. 'my-value'). Got value {token.value}"
            )
        return quoted_text(token)
    if key in _NUMERIC:
        if not is_number(token):
            raise invalid_parameter(f"Expected numeric value type for numeric attribute: {key}. Found {token.value}")
        return number(token)
    if is_text(token):
        return quoted_text(token)
    if not is_list(token):
        raise invalid_parameter(f"Expected a quoted string value for attributes. Got value {token.value}")
    if key != "experiment_id":
        raise invalid_parameter(
            "Only ['experiment_id'] attributes support comparison with a list of quoted string values."
        )
    return text_list(token)


def _condition(builder: StatementBuilder, comparison: Comparison) -> str:
    key, comparator, value = comparison.key, comparison.comparator, comparison.value
    if comparison.kind is Kind.TAG:
        return _tag_condition(builder, key, comparator, value)
    column = f"e.{key}"
    if isinstance(value, int | float):
        return _number_condition(builder, key, comparator, value)
    value = text_value(comparison)
    if key == "experiment_id":
        return _id_condition(builder, column, comparator, value)
    if comparator not in _LIST_COMPARATORS:
        raise invalid_parameter(f"Invalid comparator '{comparator}' not one of '{enumerated(_LIST_COMPARATORS)}'")
    if comparator not in _TEXT_COMPARATORS:
        raise invalid_parameter(f"Invalid comparator for string attribute: {comparator}")
    return builder.condition(column, comparator, value)


def _number_condition(builder: StatementBuilder, key: str, comparator: str, value: float) -> str:
    if comparator not in _NUMBER_COMPARATORS:
        # Stock prints the comparators of strings here, without the closing quote.
        raise invalid_parameter(f"Invalid comparator '{comparator}' not one of '{enumerated(_LIST_COMPARATORS)}")
    if isinstance(value, float):
        raise invalid_parameter(f"Invalid value for numeric attribute '{key}': {str(value)!r}")
    return f"e.{key} {comparator} {builder.bigint(value)}"


def _id_condition(builder: StatementBuilder, column: str, comparator: str, value: str | tuple[str, ...]) -> str:
    if comparator not in ("=", "!=", "IN", "NOT IN"):
        raise invalid_parameter(f"Invalid comparator for experiment_id: {comparator}")
    ids = [parse_experiment_id(each) for each in ((value,) if isinstance(value, str) else value)]
    if isinstance(value, tuple) != (comparator in ("IN", "NOT IN")):
        raise bad_request(f"A list of values can only be compared with IN or NOT IN, not with {comparator}")
    return builder.any_integer(column, ids, negated=comparator in ("!=", "NOT IN"))


def _tag_condition(builder: StatementBuilder, key: str, comparator: str, value: Value) -> str:
    if comparator not in (*_TEXT_COMPARATORS, IS_NULL, IS_NOT_NULL):
        raise invalid_parameter(f"Invalid comparator for tag: {comparator}")
    tag = f"FROM experiment_tags AS t WHERE t.experiment_id = e.experiment_id AND t.key = {builder.text(key)}"
    if isinstance(value, str):
        return builder.exists(f"{tag} AND {builder.condition('t.value', comparator, value)}")
    return f"{'NOT ' if comparator == IS_NULL else ''}{builder.exists(tag)}"


def _ordering(order_by: Sequence[str]) -> list[str]:
    """The ORDER BY terms; unlike for runs, each database puts NULLs where it likes."""
    terms: list[str] = []
    keys: set[str] = set()
    for text in order_by or _DEFAULT_ORDER:
        kind, key, ascending = parse_ordering(text)
        if kind is not Kind.ATTRIBUTE:
            raise invalid_parameter(f"Invalid order_by entity: {kind}")
        keys.add(key)
        terms.append(f"e.{key} {direction(ascending)}")
    if "experiment_id" not in keys:
        terms.append("e.experiment_id DESC")
    return terms
