"""Logged models with their parameters, tags and metrics (mlflow/store/tracking/sqlalchemy_store.py).

A deleted model is invisible to ``get`` and to searches, but can be changed, as in stock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from tracking_server.clock import now_millis
from tracking_server.errors import MlflowError, does_not_exist
from tracking_server.search.plan import SearchPlan
from tracking_server.store import experiments
from tracking_server.store.database import Connection, Database, Dialect, Row
from tracking_server.store.queries import Query, QueryFile, of_page
from tracking_server.store.run_log import write_batch

_QUERIES = QueryFile("logged_models")

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class NewModel:
    """A logged model to be made; ``created`` in milliseconds."""

    model_id: str
    experiment_id: int
    name: str
    model_type: str
    source_run_id: str
    created: int
    params: Sequence[Pair]
    tags: Sequence[Pair]


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model's row (see ``models_of_page``) and its metrics as a JSON array, None for none."""

    row: Row
    metrics: bytes | None


class _Metric(msgspec.Struct, omit_defaults=True):
    """mlflow/entities/metric.py, ``to_proto``."""

    key: str
    value: float
    timestamp: int
    step: int
    model_id: str
    run_id: str
    dataset_name: str | None = None
    dataset_digest: str | None = None


def _of_page(page: Query) -> Query:
    return of_page("model_id", page, _QUERIES["models_of_page"])


_VISIBLE_MODEL = _of_page(_QUERIES["visible_model_id"])
_ANY_MODEL = _of_page(_QUERIES["any_model_id"])


async def get(database: Database, model_id: str, *, allow_deleted: bool) -> StoredModel:
    """The model. Raises RESOURCE_DOES_NOT_EXIST."""
    query = _ANY_MODEL if allow_deleted else _VISIBLE_MODEL
    return _only(await _read(database, query, (model_id,)), model_id)


async def search(database: Database, plan: SearchPlan) -> tuple[Sequence[StoredModel], str | None]:
    """The models of one page in order, and the next page's token."""
    return plan.page(await _read(database, _of_page(plan.query), plan.arguments))


async def create(connection: Connection, model: NewModel, location_of: Callable[[str], str]) -> str:
    """Stores a new model in an active experiment; ``location_of`` makes its location from the experiment's.

    Returns that location.
    """
    query = _QUERIES["experiment_of_new_model"]
    experiment = await experiments.find(connection, query, model.experiment_id)
    experiments.check_active(model.experiment_id, experiment["lifecycle_stage"])
    location = location_of(experiment["artifact_location"])
    await connection.execute(
        _QUERIES["insert_model"],
        model.model_id,
        model.experiment_id,
        model.name,
        location,
        model.created,
        model.model_type,
        model.source_run_id,
    )
    for query, pairs in (_QUERIES["insert_params"], model.params), (_QUERIES["insert_tags"], model.tags):
        await _write_pairs(connection, query, model.model_id, model.experiment_id, pairs)
    return location


async def finalize(connection: Connection, model_id: str, status: int) -> StoredModel:
    """Gives the model a status (a number of the protobuf enum) and returns it."""
    if not await connection.execute(_QUERIES["set_status"], model_id, status, now_millis()):
        raise _no_model(model_id)
    return _only(await _load(connection, _ANY_MODEL, (model_id,)), model_id)


async def log_params(connection: Connection, model_id: str, params: Sequence[Pair]) -> None:
    """Adds parameters. Raises IntegrityViolation for one that the model has already."""
    experiment_id = await _experiment_of(connection, model_id)
    await _write_pairs(connection, _QUERIES["insert_params"], model_id, experiment_id, params)


async def set_tags(connection: Connection, model_id: str, tags: Mapping[str, str]) -> None:
    """Sets tags, new or not."""
    experiment_id = await _experiment_of(connection, model_id)
    # In one order everywhere, so that writers wait for each other instead of deadlocking.
    await _write_pairs(connection, _QUERIES["upsert_tags"], model_id, experiment_id, sorted(tags.items()))


async def delete_tag(connection: Connection, model_id: str, key: str) -> None:
    """Deletes a tag. Raises RESOURCE_DOES_NOT_EXIST for a tag or a model that is not there."""
    if not await connection.execute(_QUERIES["delete_tag"], model_id, key):
        await _experiment_of(connection, model_id)
        raise does_not_exist(f"No tag with key {key!r} found for model with ID {model_id!r}.")


async def delete(connection: Connection, model_id: str) -> None:
    """Marks a model deleted, again if it was already."""
    if not await connection.execute(_QUERIES["mark_deleted"], model_id, now_millis()):
        raise _no_model(model_id)


async def _read(database: Database, query: Query, arguments: Sequence[object]) -> Sequence[StoredModel]:
    if database.dialect is Dialect.POSTGRESQL:
        # One statement is one snapshot: no transaction, no further round trips.
        return [_stored(row) for row in await database.fetch(query, *arguments)]
    return await database.read(lambda connection: _load(connection, query, arguments))


async def _load(connection: Connection, query: Query, arguments: Sequence[object]) -> Sequence[StoredModel]:
    rows = await connection.fetch(query, *arguments)
    if connection.dialect is Dialect.POSTGRESQL:
        return [_stored(row) for row in rows]
    of_model: dict[str, list[_Metric]] = {row["model_id"]: [] for row in rows}
    for row in await connection.fetch(_QUERIES["metrics_of_models"], list(of_model)):
        of_model[row["model_id"]].append(_Metric(*row))
    return [
        StoredModel(row, msgspec.json.encode(metrics) if metrics else None)
        for row, metrics in zip(rows, of_model.values(), strict=True)
    ]


def _stored(row: Row) -> StoredModel:
    return StoredModel(row, row["metrics"].encode() if row["metrics"] is not None else None)


def _only(models: Sequence[StoredModel], model_id: str) -> StoredModel:
    if not models:
        raise _no_model(model_id)
    return models[0]


async def _experiment_of(connection: Connection, model_id: str) -> int:
    row = await connection.fetch_one(_QUERIES["experiment_of_model"], model_id)
    if row is None:
        raise _no_model(model_id)
    return int(row[0])


async def _write_pairs(
    connection: Connection, query: Query, model_id: str, experiment_id: int, pairs: Iterable[Pair]
) -> None:
    await write_batch(connection, query, [(model_id, experiment_id, *pair) for pair in pairs])


def _no_model(model_id: str) -> MlflowError:
    return does_not_exist(f"Logged model with ID '{model_id}' not found.")
