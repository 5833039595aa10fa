"""Experiments: decode, ask the store, encode (mlflow/server/handlers.py)."""

from __future__ import annotations

import msgspec

from tracking_server.api import rules
from tracking_server.api.messages import Int64, KeyValue, Message, RequiredText, ViewType
from tracking_server.api.operation import EMPTY, operation
from tracking_server.api.planning import planned
from tracking_server.errors import ForwardRequest, does_not_exist
from tracking_server.search.experiments import experiments_page
from tracking_server.services import Services
from tracking_server.store import experiments
from tracking_server.store.database import Row
from tracking_server.uris import absolute_root, append_path
from tracking_server.validation import check_experiment_name, check_experiment_tag, parse_experiment_id

_TRACE_TAGS = ("mlflow.trace.archivalRetention", "mlflow.trace.archiveNow")
_ID_RULES = {"experiment_id": [rules.required, rules.string]}


class Experiment(msgspec.Struct, omit_defaults=True):
    """An experiment as the API answers it; ``tags`` is the database's own JSON."""

    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: str
    creation_time: int = 0
    last_update_time: int = 0
    workspace: str | None = None
    tags: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def to_experiment(row: Row) -> Experiment:
    """A row of the store as the API's object."""
    return Experiment(
        str(row["experiment_id"]),
        row["name"],
        row["artifact_location"],
        row["lifecycle_stage"],
        row["creation_time"] or 0,
        row["last_update_time"] or 0,
        row["workspace"],
        msgspec.Raw(row["tags"].encode()) if row["tags"] else msgspec.UNSET,
    )


class CreateExperiment(Message):
    name: RequiredText
    artifact_location: str | None = None
    tags: list[KeyValue] = []


@operation(
    CreateExperiment,
    {"name": [rules.required, rules.string], "artifact_location": [rules.string], "tags": [rules.array]},
)
async def create(message: CreateExperiment, services: Services) -> bytes:
    if message.artifact_location:
        raise ForwardRequest("artifact-location")
    experiments.check_custom_views([(tag.key or "", tag.value) for tag in message.tags])
    check_experiment_name(message.name)
    tags = [(_checked_tag(tag.key or "", tag.value or ""), tag.value or "") for tag in message.tags]
    root = absolute_root(services.config.artifacts.root)
    experiment_id = await services.database.write(
        lambda connection: experiments.create(
            connection, message.name, tags, lambda new_id: append_path(root, str(new_id))
        )
    )
    return msgspec.json.encode({"experiment_id": str(experiment_id)})


class GetExperiment(Message):
    experiment_id: RequiredText


@operation(GetExperiment, _ID_RULES)
async def get(message: GetExperiment, services: Services) -> bytes:
    row = await experiments.get(services.database, parse_experiment_id(message.experiment_id))
    return msgspec.json.encode({"experiment": to_experiment(row)})


class GetExperimentByName(Message):
    experiment_name: RequiredText


@operation(GetExperimentByName, {"experiment_name": [rules.required, rules.string]})
async def get_by_name(message: GetExperimentByName, services: Services) -> bytes:
    row = await experiments.get_by_name(services.database, message.experiment_name)
    if row is None:
        raise does_not_exist(f"Could not find experiment with name '{message.experiment_name}'")
    return msgspec.json.encode({"experiment": to_experiment(row)})


class UpdateExperiment(Message):
    experiment_id: RequiredText
    new_name: RequiredText


@operation(
    UpdateExperiment,
    {"experiment_id": [rules.required, rules.string], "new_name": [rules.string, rules.required]},
)
async def update(message: UpdateExperiment, services: Services) -> bytes:
    if message.new_name:
        check_experiment_name(message.new_name)
        experiment_id = parse_experiment_id(message.experiment_id)
        await services.database.write(
            lambda connection: experiments.rename(connection, experiment_id, message.new_name)
        )
    return EMPTY


class DeleteExperiment(Message):
    experiment_id: RequiredText


@operation(DeleteExperiment, _ID_RULES)
async def delete(message: DeleteExperiment, services: Services) -> bytes:
    experiment_id = parse_experiment_id(message.experiment_id)
    await services.database.write(lambda connection: experiments.delete(connection, experiment_id))
    return EMPTY


class RestoreExperiment(Message):
    experiment_id: RequiredText


@operation(RestoreExperiment, _ID_RULES)
async def restore(message: RestoreExperiment, services: Services) -> bytes:
    experiment_id = parse_experiment_id(message.experiment_id)
    await services.database.write(lambda connection: experiments.restore(connection, experiment_id))
    return EMPTY


class SetExperimentTag(Message):
    experiment_id: RequiredText
    key: RequiredText
    value: str | None = None


@operation(
    SetExperimentTag,
    {
        "experiment_id": [rules.required, rules.string],
        "key": [rules.required, rules.string],
        "value": [rules.string],
    },
)
async def set_tag(message: SetExperimentTag, services: Services) -> bytes:
    value = message.value or ""
    key = _checked_tag(message.key, value)
    experiment_id = parse_experiment_id(message.experiment_id)
    await services.database.write(lambda connection: experiments.set_tag(connection, experiment_id, key, value))
    return EMPTY


class DeleteExperimentTag(Message):
    experiment_id: RequiredText
    key: RequiredText


@operation(
    DeleteExperimentTag,
    {"experiment_id": [rules.required, rules.string], "key": [rules.required, rules.string]},
)
async def delete_tag(message: DeleteExperimentTag, services: Services) -> bytes:
    experiment_id = parse_experiment_id(message.experiment_id)
    await services.database.write(
        lambda connection: experiments.delete_tag(connection, experiment_id, message.key, message.experiment_id)
    )
    return EMPTY


class SearchExperiments(Message):
    max_results: Int64 = 0
    page_token: str | None = None
    filter: str = ""
    order_by: list[str] = []
    view_type: ViewType = ViewType.ACTIVE_ONLY


class FoundExperiments(msgspec.Struct, omit_defaults=True):
    experiments: list[Experiment] = []
    next_page_token: str | None = None


@operation(
    SearchExperiments,
    {
        "view_type": [rules.intlike],
        "max_results": [rules.intlike],
        "order_by": [rules.array],
        "filter": [rules.string],
        "page_token": [rules.string],
    },
)
async def search(message: SearchExperiments, services: Services) -> bytes:
    plan = await planned(
        experiments_page,
        services.database.dialect,
        message.view_type.number,
        message.max_results,
        message.filter,
        message.order_by,
        message.page_token or None,
    )
    rows, token = await experiments.search(services.database, plan)
    return msgspec.json.encode(FoundExperiments([to_experiment(row) for row in rows], token))


def _checked_tag(key: str, value: str) -> str:
    if key in _TRACE_TAGS:
        # Stock parses these values by rules of its own.
        raise ForwardRequest("trace-archival-tag")
    return check_experiment_tag(key, value)
