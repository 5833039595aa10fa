"""Searching runs: filter, order and page → one statement that selects the run ids of a page.

Rules: SearchUtils in mlflow/utils/search_utils.py; _search_runs, _get_sqlalchemy_filter_clauses and
_get_orderby_clauses in mlflow/store/tracking/sqlalchemy_store.py.
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
)
from tracking_server.search.identifiers import run_identifier
from tracking_server.search.order_by import duplicate_fields, parse_order_by
from tracking_server.search.page_token import parse_offset
from tracking_server.search.plan import SearchPlan
from tracking_server.search.sql import (
    StatementBuilder,
    check_tracking_max_results,
    direction,
    in_view,
    statement,
    where,
)
from tracking_server.store.database import Dialect
from tracking_server.validation import parse_experiment_id

_COLUMNS = {
    "artifact_uri": "artifact_uri",
    "end_time": "end_time",
    "run_id": "run_uuid",
    "run_name": "name",
    "start_time": "start_time",
    "status": "status",
    "user_id": "user_id",
}
_ALIASES = {
    "created": "start_time",
    "Created": "start_time",
    "run name": "run_name",
    "Run name": "run_name",
    "Run Name": "run_name",
}
_NUMERIC = frozenset({"start_time", "end_time", "created", "Created"})
_FILTERABLE = frozenset({*_COLUMNS, *_ALIASES})
_ORDERABLE = frozenset({*_COLUMNS, "created", "Created"})
_LISTABLE = frozenset({"run_id"})
_RUN_NAME_TAG = "mlflow.runName"
_DATASET_CONTEXT_TAG = "mlflow.data.context"
_TABLES = {Kind.METRIC: "latest_metrics", Kind.PARAMETER: "params", Kind.TAG: "tags"}

_NUMBER_COMPARATORS = frozenset({">", ">=", "!=", "=", "<", "<="})
_LIST_COMPARATORS = frozenset({"!=", "=", "LIKE", "ILIKE", "IN", "NOT IN"})
_NULLABLE_COMPARATORS = frozenset({"!=", "=", "LIKE", "ILIKE", "IS NULL", "IS NOT NULL"})


def runs_page(
    dialect: Dialect,
    experiment_ids: Sequence[str],
    run_view_type: int,
    max_results: int,
    filter_string: str | None,
    order_by: Sequence[str],
    page_token: str | None,
) -> SearchPlan:
    """The plan whose statement selects ``run_uuid``.

    ``run_view_type`` is one of sql.ACTIVE_ONLY, DELETED_ONLY and ALL; the rest is as the request has it. Raises
    INVALID_PARAMETER_VALUE for bad input, BAD_REQUEST for values that stock's database refuses.
    """
    check_tracking_max_results(max_results)
    comparisons = parse_filter(filter_string) if filter_string else ()
    builder = StatementBuilder(dialect, len(comparisons))
    joins, ordering = _ordering(builder, order_by)
    conditions = [_condition(builder, comparison) for comparison in comparisons]
    offset = parse_offset(page_token)
    experiments = [parse_experiment_id(experiment_id) for experiment_id in experiment_ids]
    scope = [builder.any_integer("r.experiment_id", experiments), in_view("r.lifecycle_stage", run_view_type)]
    query, arguments = statement(
        "search_runs",
        builder,
        (
            "SELECT r.run_uuid FROM runs AS r",
            *joins,
            where([*scope, *conditions]),
            f"ORDER BY {', '.join(ordering)}",
            builder.window(max_results, offset),
        ),
        # Some keys have a row in every run, others in few.
        planned_anew=bool(conditions or joins),
    )
    return SearchPlan(query, arguments, max_results, offset)


@remember
def parse_filter(text: str) -> tuple[Comparison, ...]:
    """The comparisons of a run filter, comparators in upper case, not yet checked against their keys.

    Raises INVALID_PARAMETER_VALUE for bad syntax, unknown keys and values of the wrong type.
    """
    comparisons = []
    for clause in read_filter(text, quoted_in_messages=True):
        identifier, comparator, token = sides(clause)
        kind, key = run_identifier(identifier, _FILTERABLE)
        if token is None and kind not in (Kind.TAG, Kind.PARAMETER):
            raise invalid_parameter(
                f"IS NULL / IS NOT NULL is only supported for tags and params, not for '{kind}' '{key}'"
            )
        value = None if token is None else _value(kind, key, token)
        comparisons.append(Comparison(kind, key, comparator.upper(), value))
    return tuple(comparisons)


def _value(kind: Kind, key: str, token: Token) -> Value:
    if kind is Kind.METRIC:
        if not is_number(token):
            raise invalid_parameter(f"Expected numeric value type for metric. Found {token.value}")
        return float(token.value)
    if kind is Kind.ATTRIBUTE and key in _NUMERIC:
        if not is_number(token):
            raise invalid_parameter(f"Expected numeric value type for numeric attribute: {key}. Found {token.value}")
        return number(token)
    if is_text(token):
        return quoted_text(token)
    if kind in (Kind.PARAMETER, Kind.TAG):
        raise invalid_parameter(f"Expected a quoted string value for {kind} (e.g. 'my-value'). Got value {token.value}")
    if is_list(token):
        if kind is Kind.ATTRIBUTE and key not in _LISTABLE:
            raise invalid_parameter(
                f"Only {sorted(_LISTABLE)} attributes support comparison with a list of quoted string values."
            )
        return text_list(token)
    entity = "attributes" if kind is Kind.ATTRIBUTE else "dataset attributes"
    raise invalid_parameter(f"Expected a quoted string value for {entity}. Got value {token.value}")


def _check_comparator(kind: Kind, key: str, comparator: str) -> None:
    """Stock's messages print one set where they mean another, and mostly forget the closing quote."""
    quote = ""
    match kind:
        case Kind.ATTRIBUTE if key in _NUMERIC:
            allowed, shown = _NUMBER_COMPARATORS, _LIST_COMPARATORS
        case Kind.METRIC:
            allowed = shown = _NUMBER_COMPARATORS
        case Kind.ATTRIBUTE | Kind.DATASET:
            allowed = shown = _LIST_COMPARATORS
            quote = "'" if kind is Kind.ATTRIBUTE else ""
        case Kind.PARAMETER | Kind.TAG:
            allowed = shown = _NULLABLE_COMPARATORS
            quote = "'" if kind is Kind.PARAMETER else ""
    if comparator not in allowed:
        raise invalid_parameter(f"Invalid comparator '{comparator}' not one of '{enumerated(shown)}{quote}")


def _condition(builder: StatementBuilder, comparison: Comparison) -> str:
    kind, comparator, value = comparison.kind, comparison.comparator, comparison.value
    # Stock translates aliases for every kind of key: params.created is params.start_time.
    key = _ALIASES.get(comparison.key, comparison.key)
    _check_comparator(kind, key, comparator)
    if kind is Kind.ATTRIBUTE and key == "run_name":
        # Runs of MLflow before 1.30 have their name in this tag only.
        kind, key = Kind.TAG, _RUN_NAME_TAG
    if kind is Kind.ATTRIBUTE:
        return _attribute_condition(builder, f"r.{_COLUMNS[key]}", comparison)
    if kind is Kind.DATASET:
        return _dataset_condition(builder, comparison)
    owned = f"FROM {_TABLES[kind]} AS c WHERE c.run_uuid = r.run_uuid AND c.key = {builder.text(key)}"
    if isinstance(value, float):
        test = f"c.value {comparator} {builder.real(value)}"
        # A NaN is stored as 0 and is_nan: it differs from everything and compares with nothing.
        test = f"({test} OR c.is_nan)" if comparator == "!=" else f"{test} AND NOT c.is_nan"
        return builder.exists(f"{owned} AND {test}")
    if value is None:
        return f"{'NOT ' if comparator == 'IS NULL' else ''}{builder.exists(owned)}"
    text = text_value(comparison)
    short = ""
    if kind is Kind.TAG and isinstance(text, str):
        short = builder.equal_short_value("c.value", comparator, text)
    return builder.exists(f"{owned} AND {builder.condition('c.value', comparator, text)}{short}")


def _attribute_condition(builder: StatementBuilder, column: str, comparison: Comparison) -> str:
    comparator, value = comparison.comparator, comparison.value
    if isinstance(value, float):
        return f"{column} {comparator} {builder.real(value)}"
    if isinstance(value, int):
        return f"{column} {comparator} {builder.bigint(value)}"
    return builder.condition(column, comparator, text_value(comparison))


def _dataset_condition(builder: StatementBuilder, comparison: Comparison) -> str:
    key, comparator, value = comparison.key, comparison.comparator, text_value(comparison)
    # The types follow from what the ids refer to; they are there for the index.
    inputs = (
        "FROM inputs AS i JOIN datasets AS d ON d.dataset_uuid = i.source_id{} "
        "WHERE i.destination_type = 'RUN' AND i.destination_id = r.run_uuid AND i.source_type = 'DATASET'"
    )
    if key == "context":
        joined = inputs.format(" JOIN input_tags AS t ON t.input_uuid = i.input_uuid")
        test = f"t.name = '{_DATASET_CONTEXT_TAG}' AND {builder.condition('t.value', comparator, value)}"
    else:
        joined, test = inputs.format(""), builder.condition(f"d.{key}", comparator, value)
    return builder.exists(f"{joined} AND {test}")


def parse_ordering(text: str) -> tuple[Kind, str, bool]:
    """What one item of order_by orders by, aliases resolved, and whether it ascends."""
    identifier, ascending = parse_order_by(text)
    kind, key = run_identifier(identifier, _ORDERABLE)
    return kind, _ALIASES.get(key, key), ascending


def _ordering(builder: StatementBuilder, order_by: Sequence[str]) -> tuple[list[str], list[str]]:
    """The joins that fetch what is ordered by, and the ORDER BY terms, tie-breakers included."""
    joins: list[str] = []
    terms: list[str] = []
    seen: set[tuple[Kind, str]] = set()
    for text in order_by:
        kind, key, ascending = parse_ordering(text)
        if kind is Kind.DATASET:
            raise invalid_parameter(f"Invalid identifier type '{kind}'")
        if kind is Kind.ATTRIBUTE:
            column = f"r.{_COLUMNS[key]}"
        else:
            alias = f"o{len(joins) + 1}"
            column = f"{alias}.value"
            joins.append(
                f"LEFT JOIN {_TABLES[kind]} AS {alias} "
                f"ON {alias}.run_uuid = r.run_uuid AND {alias}.key = {builder.text(key)}"
            )
            if kind is Kind.METRIC:
                terms.append(f"CASE WHEN {alias}.is_nan THEN 1 WHEN {column} IS NULL THEN 2 ELSE 0 END")
        terms.append(f"{column} {direction(ascending)} NULLS LAST")
        if (kind, key) in seen:
            raise duplicate_fields(order_by)
        seen.add((kind, key))
    if (Kind.ATTRIBUTE, "start_time") not in seen:
        terms.append("r.start_time DESC")
    return joins, [*terms, "r.run_uuid"]
