"""Logged models: decode, ask the store, encode (mlflow/server/handlers.py)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from tracking_server.api import rules
from tracking_server.api.decoding import query_parameters
from tracking_server.api.messages import Int32, KeyValue, Message, ProtoEnum, RequiredText
from tracking_server.api.operation import EMPTY, PathParameters, operation, path_operation
from tracking_server.api.planning import planned
from tracking_server.api.run_names import random_run_name
from tracking_server.clock import now_millis
from tracking_server.errors import ForwardRequest
from tracking_server.search.logged_models import DatasetFilter, LoggedModelOrder, logged_models_page
from tracking_server.services import Services
from tracking_server.store import logged_models
from tracking_server.store.logged_models import NewModel, Pair, StoredModel
from tracking_server.uris import append_path
from tracking_server.validation import check_logged_model_name, parse_experiment_id
from tracking_server.web import Answer, Request, Response


class LoggedModelStatus(ProtoEnum):
    """service.proto, LoggedModelStatus."""

    UNSPECIFIED = ("LOGGED_MODEL_STATUS_UNSPECIFIED", 0)
    PENDING = ("LOGGED_MODEL_PENDING", 1)
    READY = ("LOGGED_MODEL_READY", 2)
    FAILED = ("LOGGED_MODEL_UPLOAD_FAILED", 3)


_STATUS_OF_NUMBER = {status.number: status for status in LoggedModelStatus}


class LoggedModelInfo(msgspec.Struct, omit_defaults=True):
    model_id: str
    experiment_id: str
    name: str
    creation_timestamp_ms: int
    last_updated_timestamp_ms: int
    artifact_uri: str
    status: str
    model_type: str | None = None
    source_run_id: str | None = None
    status_message: str | None = None
    tags: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class LoggedModelData(msgspec.Struct, omit_defaults=True):
    params: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    metrics: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class LoggedModel(msgspec.Struct):
    """mlflow/entities/logged_model.py, ``to_proto``; its lists are JSON as the database made it."""

    info: LoggedModelInfo
    data: LoggedModelData


class ModelAnswer(msgspec.Struct):
    model: LoggedModel


def to_logged_model(stored: StoredModel) -> LoggedModel:
    """A model of the store as the API's object."""
    row = stored.row
    return LoggedModel(
        LoggedModelInfo(
            row["model_id"],
            str(row["experiment_id"]),
            row["name"],
            row["creation_timestamp_ms"],
            row["last_updated_timestamp_ms"],
            row["artifact_location"],
            _STATUS_OF_NUMBER[row["status"]],
            row["model_type"],
            row["source_run_id"],
            row["status_message"],
            _raw(row["tags"]),
        ),
        LoggedModelData(_raw(row["params"]), _raw(stored.metrics)),
    )


def _raw(text: str | bytes | None) -> msgspec.Raw | msgspec.UnsetType:
    return msgspec.UNSET if text is None else msgspec.Raw(text)


class CreateLoggedModel(Message):
    experiment_id: RequiredText
    name: str = ""
    model_type: str = ""
    source_run_id: str = ""
    params: list[KeyValue] = []
    tags: list[KeyValue] = []


@operation(
    CreateLoggedModel,
    {
        "experiment_id": [rules.string, rules.required],
        "name": [rules.string],
        "model_type": [rules.string],
        "source_run_id": [rules.string],
        "params": [rules.array],
        "tags": [rules.array],
    },
)
async def create(message: CreateLoggedModel, services: Services) -> bytes:
    if message.name:
        check_logged_model_name(message.name)
    experiment_id = parse_experiment_id(message.experiment_id)
    if str(experiment_id) != message.experiment_id:
        # Stock hands the text on to the database, each of which reads it in its own way.
        raise ForwardRequest("experiment-id")
    new = NewModel(
        model_id=f"m-{uuid.uuid4().hex}",
        experiment_id=experiment_id,
        name=message.name or random_run_name(),
        model_type=message.model_type,
        source_run_id=message.source_run_id,
        created=now_millis(),
        params=_pairs(message.params),
        tags=_pairs(message.tags),
    )
    location = await services.database.write(
        lambda connection: logged_models.create(
            connection, new, lambda root: append_path(root, "models", new.model_id, "artifacts")
        )
    )
    info = LoggedModelInfo(
        model_id=new.model_id,
        experiment_id=message.experiment_id,
        name=new.name,
        creation_timestamp_ms=new.created,
        last_updated_timestamp_ms=new.created,
        artifact_uri=location,
        status=LoggedModelStatus.PENDING,
        model_type=new.model_type,
        source_run_id=new.source_run_id,
        tags=_pairs_json(new.tags),
    )
    return msgspec.json.encode(ModelAnswer(LoggedModel(info, LoggedModelData(_pairs_json(new.params)))))


def _pairs(given: Sequence[KeyValue]) -> list[Pair]:
    return [(pair.key or "", pair.value or "") for pair in given]


def _pairs_json(pairs: Sequence[Pair]) -> msgspec.Raw | msgspec.UnsetType:
    return _raw(msgspec.json.encode([{"key": key, "value": value} for key, value in pairs]) if pairs else None)


async def get(request: Request, services: Services) -> Answer:
    """Stock reads nothing but the path and ``allow_deleted``."""
    query = query_parameters(request.query_string)
    allow_deleted = query.get("allow_deleted", ["false"])[0].lower() == "true"
    model_id = request.path_params["model_id"]
    stored = await logged_models.get(services.database, model_id, allow_deleted=allow_deleted)
    return Response(body=msgspec.json.encode(ModelAnswer(to_logged_model(stored))))


class FinalizeLoggedModel(Message):
    model_id: RequiredText
    status: LoggedModelStatus


@operation(
    FinalizeLoggedModel,
    {"model_id": [rules.string, rules.required], "status": [rules.intlike, rules.required]},
)
async def finalize(message: FinalizeLoggedModel, services: Services) -> bytes:
    """Changes the model that the body names, whatever the path names, as stock does."""
    stored = await services.database.write(
        lambda connection: logged_models.finalize(connection, message.model_id, message.status.number)
    )
    return msgspec.json.encode(ModelAnswer(to_logged_model(stored)))


class LogLoggedModelParams(Message):
    model_id: RequiredText
    params: list[KeyValue] = []


@path_operation(
    LogLoggedModelParams,
    {"model_id": [rules.string, rules.required], "params": [rules.array]},
)
async def log_params(message: LogLoggedModelParams, path: PathParameters, services: Services) -> bytes:
    params = _pairs(message.params)
    await services.database.write(lambda connection: logged_models.log_params(connection, path["model_id"], params))
    return EMPTY


class SetLoggedModelTags(Message):
    model_id: str | None = None
    tags: list[KeyValue] = []


@path_operation(SetLoggedModelTags, {"tags": [rules.array]})
async def set_tags(message: SetLoggedModelTags, path: PathParameters, services: Services) -> bytes:
    tags = dict(_pairs(message.tags))
    await services.database.write(lambda connection: logged_models.set_tags(connection, path["model_id"], tags))
    return EMPTY


async def delete_tag(request: Request, services: Services) -> Answer:
    """Stock reads nothing but the path."""
    model_id, key = request.path_params["model_id"], request.path_params["tag_key"]
    await services.database.write(lambda connection: logged_models.delete_tag(connection, model_id, key))
    return Response(body=EMPTY)


async def delete(request: Request, services: Services) -> Answer:
    """Stock reads nothing but the path."""
    model_id = request.path_params["model_id"]
    await services.database.write(lambda connection: logged_models.delete(connection, model_id))
    return Response(body=EMPTY)


class SearchDataset(Message):
    dataset_name: str = ""
    dataset_digest: str | None = None


class OrderBy(Message):
    field_name: str = ""
    ascending: bool = True
    dataset_name: str | None = None
    dataset_digest: str | None = None


class SearchLoggedModels(Message):
    experiment_ids: list[str]
    filter: str | None = None
    datasets: list[SearchDataset] = []
    max_results: Int32 = 50
    order_by: list[OrderBy] = []
    page_token: str | None = None


class FoundModels(msgspec.Struct, omit_defaults=True):
    models: list[LoggedModel] = []
    next_page_token: str | None = None


@operation(
    SearchLoggedModels,
    {
        "experiment_ids": [rules.array, rules.string_items, rules.required],
        "filter": [rules.string],
        "datasets": [rules.array],
        "max_results": [rules.intlike],
        "order_by": [rules.array],
        "page_token": [rules.string],
    },
)
async def search(message: SearchLoggedModels, services: Services) -> bytes:
    plan = await planned(
        logged_models_page,
        services.database.dialect,
        message.experiment_ids,
        message.max_results,
        message.filter,
        [DatasetFilter(each.dataset_name, each.dataset_digest or None) for each in message.datasets],
        [
            LoggedModelOrder(each.field_name, each.ascending, each.dataset_name or None, each.dataset_digest or None)
            for each in message.order_by
        ],
        message.page_token or None,
    )
    found, token = await logged_models.search(services.database, plan)
    return msgspec.json.encode(FoundModels([to_logged_model(stored) for stored in found], token))
