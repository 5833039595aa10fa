"""Model versions, their tags and stages: decode, ask the store, encode (mlflow/server/handlers.py)."""

from __future__ import annotations

import json
import os
from typing import Annotated

import msgspec

from tracking_server.api import model_version_sources, rules
from tracking_server.api.messages import INT64_MIN, KeyValue, Message, RequiredText
from tracking_server.api.model_version_sources import Lineage
from tracking_server.api.operation import EMPTY, operation
from tracking_server.api.planning import planned
from tracking_server.api.registry_entities import ModelVersion, to_model_version
from tracking_server.config import Config
from tracking_server.errors import ForwardRequest, invalid_parameter
from tracking_server.search.model_versions import model_versions_page
from tracking_server.services import Services
from tracking_server.store import model_versions, webhooks
from tracking_server.store.database import Connection, Row
from tracking_server.validation import check_tag_name
from tracking_server.validation_registry import (
    ACTIVE_STAGES,
    canonical_stage,
    check_model_name,
    check_version_tag,
    is_prompt,
    parse_version,
)

_MOST_RESULTS = 200_000
_TEXT = [rules.string, rules.required]
_KEY_RULES = {"name": _TEXT, "version": _TEXT}
_SOURCE_RULE = "MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX"


def _answer(row: Row) -> bytes:
    return msgspec.json.encode({"model_version": to_model_version(row)})


class CreateModelVersion(Message):
    name: RequiredText
    source: RequiredText
    run_id: str | None = None
    tags: list[KeyValue] = []
    run_link: str | None = None
    description: str | None = None
    model_id: str | None = None


@operation(
    CreateModelVersion,
    {
        "name": _TEXT,
        "source": _TEXT,
        "run_id": [rules.string],
        "tags": [rules.array],
        "run_link": [rules.string],
        "description": [rules.string],
        "model_id": [rules.string],
    },
)
async def create(message: CreateModelVersion, services: Services) -> bytes:
    if _has_source_rule(services.config):
        raise ForwardRequest("source-rule")
    return _answer(await services.database.write(lambda connection: _create(connection, message)))


async def _create(connection: Connection, message: CreateModelVersion) -> Row:
    """Checks, looks up and stores in stock's order, which decides what a request with two faults is told."""
    await webhooks.forward_if_any(connection)
    tags = {tag.key or "": tag.value or "" for tag in message.tags}
    if is_prompt(tags):
        model_version_sources.check_prompt_source(message.source)
        if message.model_id:
            raise ForwardRequest("prompt")
        lineage = Lineage(message.source, message.run_id or "", "", message.source)
    else:
        lineage = await model_version_sources.resolve(connection, message.source, message.run_id, message.model_id)
    check_model_name(message.name)
    for tag in message.tags:
        check_version_tag(tag.key or "", tag.value or "")
    model = await model_version_sources.logged_model(connection, lineage)
    run_id, location = lineage.run_id, lineage.storage_location
    if model is not None:
        run_id = run_id or model.source_run_id
        if lineage.source.startswith("models:"):
            location = model.artifact_location
    row = await model_versions.create(
        connection,
        model_versions.NewVersion(
            message.name,
            lineage.source,
            location,
            run_id,
            message.run_link or "",
            message.description or "",
            tags,
        ),
    )
    if model is not None:
        made = model.versions_with(message.name, row["version"])
        await model_versions.set_versions_of_logged_model(
            connection, lineage.model_id, model.experiment_id, json.dumps(made)
        )
    return row


def _has_source_rule(config: Config) -> bool:
    """Whether the operator restricts sources by an expression, which only stock has."""
    return bool(os.environ.get(_SOURCE_RULE)) or _SOURCE_RULE in config.stock.environment.reveal()


class GetModelVersion(Message):
    name: RequiredText
    version: RequiredText


@operation(GetModelVersion, _KEY_RULES)
async def get(message: GetModelVersion, services: Services) -> bytes:
    check_model_name(message.name)
    version = parse_version(message.version)
    return _answer(await model_versions.get(services.database, message.name, version))


class UpdateModelVersion(Message):
    name: RequiredText
    version: RequiredText
    description: str | None = None


@operation(UpdateModelVersion, {**_KEY_RULES, "description": [rules.string]})
async def update(message: UpdateModelVersion, services: Services) -> bytes:
    check_model_name(message.name)
    version = parse_version(message.version)
    return _answer(
        await services.database.write(
            lambda connection: model_versions.update(connection, message.name, version, message.description)
        )
    )


class TransitionModelVersionStage(Message):
    name: RequiredText
    version: RequiredText
    stage: RequiredText
    archive_existing_versions: bool = False


@operation(TransitionModelVersionStage, {**_KEY_RULES, "stage": _TEXT, "archive_existing_versions": [rules.boolean]})
async def transition_stage(message: TransitionModelVersionStage, services: Services) -> bytes:
    stage = canonical_stage(message.stage)
    archive = message.archive_existing_versions
    if archive and stage not in ACTIVE_STAGES:
        raise invalid_parameter(
            "Model version transition cannot archive existing model versions "
            f"because '{message.stage}' is not an Active stage. Valid stages are {list(ACTIVE_STAGES)}"
        )
    check_model_name(message.name)
    version = parse_version(message.version)
    return _answer(
        await services.database.write(
            lambda connection: model_versions.transition(
                connection, message.name, version, stage, archive_others=archive
            )
        )
    )


class DeleteModelVersion(Message):
    name: RequiredText
    version: RequiredText


@operation(DeleteModelVersion, _KEY_RULES)
async def delete(message: DeleteModelVersion, services: Services) -> bytes:
    version = parse_version(message.version)
    check_model_name(message.name)
    await services.database.write(lambda connection: model_versions.delete(connection, message.name, version))
    return EMPTY


class GetModelVersionDownloadUri(Message):
    name: str = ""
    version: str = ""


@operation(GetModelVersionDownloadUri, {})
async def get_download_uri(message: GetModelVersionDownloadUri, services: Services) -> bytes:
    check_model_name(message.name)
    version = parse_version(message.version)
    row = await model_versions.get(services.database, message.name, version)
    return msgspec.json.encode({"artifact_uri": row["storage_location"] or row["source"]})


class SearchModelVersions(Message):
    filter: str = ""
    max_results: Annotated[int, msgspec.Meta(ge=INT64_MIN, le=_MOST_RESULTS)] = _MOST_RESULTS
    order_by: list[str] = []
    page_token: str | None = None


class FoundVersions(msgspec.Struct, omit_defaults=True):
    model_versions: list[ModelVersion] = []
    next_page_token: str | None = None


@operation(
    SearchModelVersions,
    {
        "filter": [rules.string],
        "max_results": [rules.intlike, rules.at_most(_MOST_RESULTS)],
        "order_by": [rules.array, rules.string_items],
        "page_token": [rules.string],
    },
)
async def search(message: SearchModelVersions, services: Services) -> bytes:
    plan = await planned(
        model_versions_page,
        services.database.dialect,
        message.max_results,
        message.filter,
        message.order_by,
        message.page_token or None,
    )
    rows, token = await model_versions.search(services.database, plan)
    return msgspec.json.encode(FoundVersions([to_model_version(row, with_aliases=False) for row in rows], token))


class SetModelVersionTag(Message):
    name: RequiredText
    version: RequiredText
    key: RequiredText
    value: str | None = None


@operation(SetModelVersionTag, {**_KEY_RULES, "key": _TEXT, "value": [rules.string]})
async def set_tag(message: SetModelVersionTag, services: Services) -> bytes:
    value = message.value or ""
    check_model_name(message.name)
    version = parse_version(message.version)
    check_version_tag(message.key, value)
    await services.database.write(
        lambda connection: model_versions.set_tag(connection, message.name, version, message.key, value)
    )
    return EMPTY


class DeleteModelVersionTag(Message):
    name: RequiredText
    version: RequiredText
    key: RequiredText


@operation(DeleteModelVersionTag, {**_KEY_RULES, "key": _TEXT})
async def delete_tag(message: DeleteModelVersionTag, services: Services) -> bytes:
    check_model_name(message.name)
    version = parse_version(message.version)
    check_tag_name(message.key)
    await services.database.write(
        lambda connection: model_versions.delete_tag(connection, message.name, version, message.key)
    )
    return EMPTY
