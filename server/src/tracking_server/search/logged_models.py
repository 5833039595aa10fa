"""Searching logged models: filter, datasets, order and page → one statement that selects the model ids of a page.

Rules: search_logged_models, _apply_filter_string_datasets_search_logged_models and
_apply_order_by_search_logged_models in mlflow/store/tracking/sqlalchemy_store.py;
SearchLoggedModelsPaginationToken in mlflow/utils/search_utils.py.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from tracking_server.errors import ErrorCode, MlflowError, invalid_parameter
from tracking_server.search.grammar import Comparison, Kind, text_value
from tracking_server.search.logged_model_filter import ALIASES, parse_filter
from tracking_server.search.page_token import as_offset
from tracking_server.search.plan import SearchPlan
from tracking_server.search.sql import (
    StatementBuilder,
    bad_request,
    direction,
    statement,
    where,
)
from tracking_server.store.database import Dialect
from tracking_server.validation import parse_experiment_id

_DEFAULT_RESULTS = 100
_INTEGERS = frozenset({"experiment_id", "status"})
_COLUMNS = _INTEGERS | {
    "artifact_location",
    "creation_timestamp_ms",
    "last_updated_timestamp_ms",
    "lifecycle_stage",
    "model_id",
    "model_type",
    "name",
    "source_run_id",
    "status_message",
}
_METRICS = "logged_model_metrics"
_TABLES = {
    Kind.METRIC: (_METRICS, "metric_name", "metric_value"),
    Kind.PARAMETER: ("logged_model_params", "param_key", "param_value"),
    Kind.TAG: ("logged_model_tags", "tag_key", "tag_value"),
}


@dataclass(frozen=True, slots=True)
class DatasetFilter:
    """A dataset that metrics must have been measured on. As in stock's REST API, no digest means: stored without."""

    dataset_name: str
    dataset_digest: str | None = None


@dataclass(frozen=True, slots=True)
class LoggedModelOrder:
    """An item of order_by; the dataset narrows down which values of a metric count. Empty strings stand for None."""

    field_name: str
    ascending: bool = True
    dataset_name: str | None = None
    dataset_digest: str | None = None


@dataclass(frozen=True, slots=True)
class LoggedModelsPlan(SearchPlan):
    """A SearchPlan whose page token repeats the request, so that it fits no other one."""

    experiment_ids: tuple[str, ...]
    filter_string: str | None
    order_by: tuple[LoggedModelOrder, ...]

    def next_page_token(self, row_count: int) -> str | None:
        """The next page's token for a statement that returned ``row_count`` rows, None on the last page."""
        if row_count <= self.max_results:
            return None
        token = {
            "experiment_ids": list(self.experiment_ids),
            "filter_string": self.filter_string,
            "order_by": _order_objects(self.order_by),
            "offset": self.offset + self.max_results,
        }
        return base64.b64encode(json.dumps(token).encode()).decode()


def logged_models_page(
    dialect: Dialect,
    experiment_ids: Sequence[str],
    max_results: int | None,
    filter_string: str | None,
    datasets: Sequence[DatasetFilter],
    order_by: Sequence[LoggedModelOrder],
    page_token: str | None,
) -> LoggedModelsPlan:
    """The plan whose statement selects ``model_id``.

    No ``max_results`` (or 0) means 100. Raises INVALID_PARAMETER_VALUE for bad input, BAD_REQUEST for values that
    stock's database refuses.
    """
    if not all(dataset.dataset_name for dataset in datasets):
        raise invalid_parameter("`dataset_name` in the `datasets` clause must be specified.")
    filter_string = filter_string or None
    offset = _parse_offset(page_token, experiment_ids, filter_string, order_by) if page_token else 0
    max_results = max_results or _DEFAULT_RESULTS
    comparisons = parse_filter(filter_string) if filter_string else ()
    builder = StatementBuilder(dialect, len(comparisons))
    conditions = [_condition(builder, comparison, datasets) for comparison in comparisons]
    if datasets and all(comparison.kind is not Kind.METRIC for comparison in comparisons):
        conditions.append(_exists(builder, _METRICS, _on_any(builder, datasets)))
    experiments = [parse_experiment_id(experiment_id) for experiment_id in experiment_ids]
    scope = ["s.lifecycle_stage <> 'deleted'", builder.any_integer("s.experiment_id", experiments)]
    query, arguments = statement(
        "search_logged_models",
        builder,
        (
            "SELECT s.model_id FROM logged_models AS s",
            where([*scope, *conditions]),
            f"ORDER BY {', '.join(_ordering(builder, order_by))}",
            builder.window(max_results, offset),
        ),
        planned_anew=bool(conditions),
    )
    return LoggedModelsPlan(
        query, arguments, max_results, offset, tuple(experiment_ids), filter_string, tuple(order_by)
    )


def _condition(builder: StatementBuilder, comparison: Comparison, datasets: Sequence[DatasetFilter]) -> str:
    kind, key, comparator = comparison.kind, comparison.key, comparison.comparator
    if comparison.value is None:
        # Stock hands it to the database's driver; none of what comes back is worth copying.
        raise bad_request(f"Expected a list of quoted strings to compare {key} with")
    if kind is Kind.ATTRIBUTE:
        return _attribute_condition(builder, comparison)
    table, key_column, value_column = _TABLES[kind]
    named = f"c.{key_column} = {builder.text(key)}"
    if isinstance(comparison.value, float):
        test = f"{named} AND c.{value_column} {comparator} {builder.real(comparison.value)}"
        return _exists(builder, _METRICS, f"{test} AND {_on_any(builder, datasets)}" if datasets else test)
    test = f"{named} AND {builder.condition(f'c.{value_column}', comparator, text_value(comparison))}"
    return _exists(builder, table, test)


def _attribute_condition(builder: StatementBuilder, comparison: Comparison) -> str:
    column = comparison.key
    if column not in _COLUMNS:
        # Stock crashes, or compares with whatever Python finds under that name.
        raise invalid_parameter(f"Invalid attribute key '{column}' specified for logged models")
    if isinstance(comparison.value, float):
        return f"s.{column} {comparison.comparator} {builder.real(comparison.value)}"
    if builder.postgresql and column in _INTEGERS:
        # SQLite compares the number with the text that it looks like.
        raise bad_request(f"operator does not exist: {column} is an integer and cannot be compared with text")
    return builder.condition(f"s.{column}", comparison.comparator, text_value(comparison))


def _exists(builder: StatementBuilder, table: str, test: str) -> str:
    return builder.exists(f"FROM {table} AS c WHERE c.model_id = s.model_id AND {test}")


def _on_any(builder: StatementBuilder, datasets: Sequence[DatasetFilter]) -> str:
    """The metric ``c`` was measured on one of the datasets."""
    alternatives = []
    for dataset in datasets:
        name = f"c.dataset_name = {builder.text(dataset.dataset_name)}"
        digest = dataset.dataset_digest
        same_digest = "c.dataset_digest IS NULL" if digest is None else f"c.dataset_digest = {builder.text(digest)}"
        alternatives.append(f"{name} AND {same_digest}")
    return f"({' OR '.join(alternatives)})"


def _ordering(builder: StatementBuilder, order_by: Sequence[LoggedModelOrder]) -> list[str]:
    """The ORDER BY terms, NULLs last except in the tie-breakers, whose columns have none."""
    terms = []
    columns = set()
    for order in order_by:
        entity, dot, name = order.field_name.partition(".")
        if dot and entity != "metrics":
            raise invalid_parameter(f"Invalid order by field name: {order.field_name}. Only metrics are supported.")
        if dot:
            value = _latest_value(builder, name, order)
        else:
            column = ALIASES.get(entity, entity)
            if column not in _COLUMNS:
                raise _unknown_order(order.field_name)
            columns.add(column)
            value = f"s.{column}"
        terms.append(f"{value} {direction(order.ascending)} NULLS LAST")
    if "creation_timestamp_ms" not in columns:
        terms.append("s.creation_timestamp_ms DESC")
    if "model_id" not in columns:
        terms.append("s.model_id ASC")
    return terms


def _latest_value(builder: StatementBuilder, metric: str, order: LoggedModelOrder) -> str:
    conditions = ["o.model_id = s.model_id", f"o.metric_name = {builder.text(metric)}"]
    if order.dataset_name:
        conditions.append(f"o.dataset_name = {builder.text(order.dataset_name)}")
    if order.dataset_digest:
        conditions.append(f"o.dataset_digest = {builder.text(order.dataset_digest)}")
    return (
        f"(SELECT o.metric_value FROM {_METRICS} AS o {where(conditions)} "  # noqa: S608 (names of ours)
        "ORDER BY o.metric_timestamp_ms DESC, o.metric_step DESC, o.run_id ASC LIMIT 1)"
    )


def _unknown_order(field_name: str) -> MlflowError:
    return MlflowError(
        f"Invalid order by field name: {field_name}",
        ErrorCode.INVALID_PARAMETER_VALUE,
        classification=("KAM04", "ATTRIBUTE_NOT_FOUND"),
    )


def _parse_offset(
    page_token: str, experiment_ids: Sequence[str], filter_string: str | None, order_by: Sequence[LoggedModelOrder]
) -> int:
    """The offset in a page token that was given for the same request."""
    try:
        decoded = json.loads(base64.b64decode(page_token.encode()).decode())
    except json.JSONDecodeError as error:
        raise invalid_parameter(f"Invalid page token: {page_token}. {error}") from None
    except (ValueError, RecursionError):
        # No base64, no UTF-8, or nested too deeply: stock crashes.
        raise invalid_parameter(f"Invalid page token: {page_token}.") from None
    if not isinstance(decoded, dict):
        raise invalid_parameter(f"Invalid page token: {page_token}.")
    _check_same(
        "Experiment IDs in the page token do not match the requested experiment IDs.",
        list(experiment_ids),
        decoded.get("experiment_ids"),
    )
    _check_same(
        "Filter string in the page token does not match the requested filter string.",
        filter_string,
        decoded.get("filter_string") or None,
    )
    _check_same(
        "Order by in the page token does not match the requested order by.",
        _order_objects(order_by),
        decoded.get("order_by") or None,
    )
    return as_offset(decoded.get("offset") or 0)


def _check_same(problem: str, expected: object, found: object) -> None:
    if found != expected:
        raise invalid_parameter(f"{problem} Expected: {expected}. Found: {found}")


def _order_objects(order_by: Sequence[LoggedModelOrder]) -> list[dict[str, object]] | None:
    """order_by as stock's page token has it."""
    return [asdict(order) for order in order_by] or None
