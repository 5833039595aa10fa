"""Registered models, their tags and aliases: decode, ask the store, encode (mlflow/server/handlers.py)."""

from __future__ import annotations

from typing import Annotated

import msgspec

from tracking_server.api import rules
from tracking_server.api.messages import INT64_MIN, KeyValue, Message, RequiredText
from tracking_server.api.operation import EMPTY, operation
from tracking_server.api.planning import planned
from tracking_server.api.registry_entities import RegisteredModel, to_model_version, to_registered_model
from tracking_server.search.registered_models import registered_models_page
from tracking_server.services import Services
from tracking_server.store import model_versions, registered_models
from tracking_server.validation import check_tag_name
from tracking_server.validation_registry import (
    LATEST_ALIAS,
    STAGES,
    canonical_stage,
    check_alias,
    check_model_name,
    check_model_tag,
    check_new_alias,
    check_new_model_name,
    parse_version,
)

_MOST_RESULTS = 1000
_TEXT = [rules.string, rules.required]


class CreateRegisteredModel(Message):
    name: RequiredText
    tags: list[KeyValue] = []
    description: str | None = None
    deployment_job_id: str | None = None


@operation(CreateRegisteredModel, {"name": _TEXT, "tags": [rules.array], "description": [rules.string]})
async def create(message: CreateRegisteredModel, services: Services) -> bytes:
    name = message.name
    check_model_name(name)
    tags = {}
    for tag in message.tags:
        check_model_tag(tag.key or "", tag.value or "")
        tags[tag.key or ""] = tag.value or ""
    description = message.description or ""
    created = await services.database.write(
        lambda connection: registered_models.create(connection, name, description, tags)
    )
    shown = [{"key": key, "value": value} for key, value in tags.items()]
    model = RegisteredModel(
        name=name,
        creation_timestamp=created,
        last_updated_timestamp=created,
        description=description or None,
        tags=msgspec.Raw(msgspec.json.encode(shown)) if shown else msgspec.UNSET,
    )
    return msgspec.json.encode({"registered_model": model})


class GetRegisteredModel(Message):
    name: RequiredText


@operation(GetRegisteredModel, {"name": _TEXT})
async def get(message: GetRegisteredModel, services: Services) -> bytes:
    check_model_name(message.name)
    rows = await registered_models.get(services.database, message.name)
    return msgspec.json.encode({"registered_model": to_registered_model(rows)})


class UpdateRegisteredModel(Message):
    name: RequiredText
    description: str | None = None
    deployment_job_id: str | None = None


@operation(UpdateRegisteredModel, {"name": _TEXT, "description": [rules.string]})
async def update(message: UpdateRegisteredModel, services: Services) -> bytes:
    check_model_name(message.name)
    rows = await services.database.write(
        lambda connection: registered_models.update(connection, message.name, message.description or "")
    )
    return msgspec.json.encode({"registered_model": to_registered_model(rows)})


class RenameRegisteredModel(Message):
    name: RequiredText
    new_name: RequiredText


@operation(RenameRegisteredModel, {"name": _TEXT, "new_name": _TEXT})
async def rename(message: RenameRegisteredModel, services: Services) -> bytes:
    check_new_model_name(message.new_name)
    check_model_name(message.name)
    rows = await services.database.write(
        lambda connection: registered_models.rename(connection, message.name, message.new_name)
    )
    return msgspec.json.encode({"registered_model": to_registered_model(rows)})


class DeleteRegisteredModel(Message):
    name: RequiredText


@operation(DeleteRegisteredModel, {"name": _TEXT})
async def delete(message: DeleteRegisteredModel, services: Services) -> bytes:
    check_model_name(message.name)
    await services.database.write(lambda connection: registered_models.delete(connection, message.name))
    return EMPTY


class SearchRegisteredModels(Message):
    filter: str = ""
    max_results: Annotated[int, msgspec.Meta(ge=INT64_MIN, le=_MOST_RESULTS)] = 100
    order_by: list[str] = []
    page_token: str | None = None


class FoundModels(msgspec.Struct, omit_defaults=True):
    registered_models: list[RegisteredModel] = []
    next_page_token: str | None = None


@operation(
    SearchRegisteredModels,
    {
        "filter": [rules.string],
        "max_results": [rules.intlike, rules.at_most(_MOST_RESULTS)],
        "order_by": [rules.array, rules.string_items],
        "page_token": [rules.string],
    },
)
async def search(message: SearchRegisteredModels, services: Services) -> bytes:
    plan = await planned(
        registered_models_page,
        services.database.dialect,
        message.max_results,
        message.filter,
        message.order_by,
        message.page_token or None,
    )
    models, token = await registered_models.search(services.database, plan)
    return msgspec.json.encode(FoundModels([to_registered_model(rows) for rows in models], token))


class GetLatestVersions(Message):
    name: RequiredText
    stages: list[str] = []


@operation(GetLatestVersions, {"name": _TEXT, "stages": [rules.array, rules.string_items]})
async def get_latest_versions(message: GetLatestVersions, services: Services) -> bytes:
    check_model_name(message.name)
    rows = await registered_models.get(services.database, message.name)
    stages = {canonical_stage(stage) for stage in message.stages or STAGES}
    versions = [to_model_version(row) for row in rows if row["current_stage"] in stages]
    return msgspec.json.encode({"model_versions": versions} if versions else {})


class SetRegisteredModelTag(Message):
    name: RequiredText
    key: RequiredText
    value: str | None = None


@operation(SetRegisteredModelTag, {"name": _TEXT, "key": _TEXT, "value": [rules.string]})
async def set_tag(message: SetRegisteredModelTag, services: Services) -> bytes:
    value = message.value or ""
    check_model_name(message.name)
    check_model_tag(message.key, value)
    await services.database.write(
        lambda connection: registered_models.set_tag(connection, message.name, message.key, value)
    )
    return EMPTY


class DeleteRegisteredModelTag(Message):
    name: RequiredText
    key: RequiredText


@operation(DeleteRegisteredModelTag, {"name": _TEXT, "key": _TEXT})
async def delete_tag(message: DeleteRegisteredModelTag, services: Services) -> bytes:
    check_model_name(message.name)
    check_tag_name(message.key)
    await services.database.write(
        lambda connection: registered_models.delete_tag(connection, message.name, message.key)
    )
    return EMPTY


class SetRegisteredModelAlias(Message):
    name: RequiredText
    alias: RequiredText
    version: RequiredText


@operation(SetRegisteredModelAlias, {"name": _TEXT, "alias": _TEXT, "version": _TEXT})
async def set_alias(message: SetRegisteredModelAlias, services: Services) -> bytes:
    check_model_name(message.name)
    check_new_alias(message.alias)
    version = parse_version(message.version)
    await services.database.write(
        lambda connection: registered_models.set_alias(connection, message.name, message.alias, version)
    )
    return EMPTY


class DeleteRegisteredModelAlias(Message):
    name: RequiredText
    alias: RequiredText


@operation(DeleteRegisteredModelAlias, {"name": _TEXT, "alias": _TEXT})
async def delete_alias(message: DeleteRegisteredModelAlias, services: Services) -> bytes:
    check_model_name(message.name)
    check_alias(message.alias)
    await services.database.write(
        lambda connection: registered_models.delete_alias(connection, message.name, message.alias)
    )
    return EMPTY


class GetModelVersionByAlias(Message):
    name: RequiredText
    alias: RequiredText


@operation(GetModelVersionByAlias, {"name": _TEXT, "alias": _TEXT})
async def get_version_by_alias(message: GetModelVersionByAlias, services: Services) -> bytes:
    check_model_name(message.name)
    check_alias(message.alias)
    if message.alias.lower() == LATEST_ALIAS:
        row = await registered_models.get_latest_version(services.database, message.name)
    else:
        row = await model_versions.get_by_alias(services.database, message.name, message.alias)
    return msgspec.json.encode({"model_version": to_model_version(row)})
