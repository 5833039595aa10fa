"""Runs from their creation to their deletion (mlflow/server/handlers.py)."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from tracking_server.api import rules
from tracking_server.api.messages import Int64, KeyValue, Message, RequiredText, RunStatus
from tracking_server.api.operation import EMPTY, operation
from tracking_server.api.run_names import random_run_name
from tracking_server.errors import invalid_parameter
from tracking_server.services import Services
from tracking_server.store import runs
from tracking_server.store.run_log import RUN_NAME_TAG
from tracking_server.uris import append_path
from tracking_server.validation import parse_experiment_id

_RUN_ID_RULES = {"run_id": [rules.required, rules.string]}


class RunInfo(msgspec.Struct, omit_defaults=True):
    """mlflow/entities/run_info.py, ``to_proto``: what is 0 or empty there is left out."""

    run_uuid: str
    run_id: str
    experiment_id: str
    user_id: str | None
    status: str
    start_time: int | None
    lifecycle_stage: str
    run_name: str | None = None
    end_time: int | None = None
    artifact_uri: str | None = None


class CreateRun(Message):
    experiment_id: str = ""
    user_id: str = ""
    run_name: str = ""
    start_time: Int64 = 0
    tags: list[KeyValue] = []


@operation(
    CreateRun,
    {"experiment_id": [rules.string], "start_time": [rules.intlike], "run_name": [rules.string]},
)
async def create(message: CreateRun, services: Services) -> bytes:
    tags = [(tag.key or "", tag.value or "") for tag in message.tags]
    name_tag = next((value for key, value in tags if key == RUN_NAME_TAG), "")
    if message.run_name and name_tag and message.run_name != name_tag:
        raise invalid_parameter(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values"
            f" (run_name='{message.run_name}', mlflow.runName='{name_tag}')."
        )
    name = message.run_name or name_tag or random_run_name()
    if not name_tag:
        tags.append((RUN_NAME_TAG, name))
    run_id = uuid.uuid4().hex
    experiment_id = parse_experiment_id(message.experiment_id)
    new = runs.NewRun(run_id, experiment_id, name, message.user_id, message.start_time, tags)
    artifact_uri = await services.database.write(
        lambda connection: runs.create(connection, new, lambda root: append_path(root, run_id, "artifacts"))
    )
    info = RunInfo(
        run_uuid=run_id,
        run_id=run_id,
        run_name=name,
        experiment_id=str(experiment_id),
        user_id=message.user_id,
        status="RUNNING",
        start_time=message.start_time,
        artifact_uri=artifact_uri,
        lifecycle_stage="active",
    )
    data = {"tags": [{"key": key, "value": value} for key, value in tags]}
    return msgspec.json.encode({"run": {"info": info, "data": data, "inputs": {}}})


class UpdateRun(Message):
    run_id: RequiredText
    run_uuid: str | None = None
    status: RunStatus | None = None
    end_time: Int64 | None = None
    run_name: str | None = None


@operation(
    UpdateRun,
    {
        "run_id": [rules.required, rules.string],
        "end_time": [rules.intlike],
        "status": [rules.string],
        "run_name": [rules.string],
    },
)
async def update(message: UpdateRun, services: Services) -> bytes:
    status = None if message.status is None else str(message.status)
    row, name_tag = await services.database.write(
        lambda connection: runs.update(connection, message.run_id, status, message.end_time, message.run_name)
    )
    return msgspec.json.encode({"run_info": run_info(row, name_tag)})


def run_info(row: Any, name_tag: str | None) -> RunInfo:
    """A row of ``runs`` as the API's object; a run without a name is called by its name tag."""
    return RunInfo(
        run_uuid=row["run_uuid"],
        run_id=row["run_uuid"],
        run_name=row["name"] or name_tag or row["name"],
        experiment_id=str(row["experiment_id"]),
        user_id=row["user_id"],
        status=row["status"],
        start_time=row["start_time"],
        end_time=row["end_time"] or None,
        artifact_uri=row["artifact_uri"] or None,
        lifecycle_stage=row["lifecycle_stage"],
    )


class DeleteRun(Message):
    run_id: RequiredText


@operation(DeleteRun, _RUN_ID_RULES)
async def delete(message: DeleteRun, services: Services) -> bytes:
    await services.database.write(lambda connection: runs.delete(connection, message.run_id))
    return EMPTY


class RestoreRun(Message):
    run_id: RequiredText


@operation(RestoreRun, _RUN_ID_RULES)
async def restore(message: RestoreRun, services: Services) -> bytes:
    await services.database.write(lambda connection: runs.restore(connection, message.run_id))
    return EMPTY


class DeleteTag(Message):
    run_id: RequiredText
    key: RequiredText


@operation(DeleteTag, {"run_id": [rules.required, rules.string], "key": [rules.required, rules.string]})
async def delete_tag(message: DeleteTag, services: Services) -> bytes:
    await services.database.write(lambda connection: runs.delete_tag(connection, message.run_id, message.key))
    return EMPTY
