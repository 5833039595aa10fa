"""Runs from their creation to their deletion (mlflow/server/handlers.py)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Annotated

import msgspec

from tracking_server.api import rules
from tracking_server.api.messages import INT32_MIN, Int64, KeyValue, Message, RequiredText, RunStatus, ViewType
from tracking_server.api.operation import EMPTY, operation
from tracking_server.api.planning import planned
from tracking_server.api.run_names import random_run_name
from tracking_server.errors import ErrorCode, MlflowError, invalid_parameter
from tracking_server.search.runs import runs_page
from tracking_server.services import Services
from tracking_server.store import run_reads, runs
from tracking_server.store.database import Row
from tracking_server.store.new_runs import NewRun
from tracking_server.store.run_log import RUN_NAME_TAG
from tracking_server.store.run_reads import StoredRun
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
    if not message.experiment_id:
        # Stock takes the default experiment's location and then fails to store the run without an experiment.
        raise MlflowError("A run needs an experiment_id.", ErrorCode.BAD_REQUEST)
    run_id = uuid.uuid4().hex
    experiment_id = parse_experiment_id(message.experiment_id)
    artifact_uri = await services.new_runs.create(
        NewRun(
            run_id,
            experiment_id,
            name,
            message.user_id,
            message.start_time,
            tags,
            lambda root: append_path(root, run_id, "artifacts"),
        )
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
    row = await services.database.write(
        lambda connection: runs.update(connection, message.run_id, status, message.end_time, message.run_name)
    )
    return msgspec.json.encode({"run_info": run_info(row)})


def run_info(row: Row) -> RunInfo:
    """A run's row as the API's object."""
    return RunInfo(
        run_uuid=row["run_uuid"],
        run_id=row["run_uuid"],
        run_name=row["name"],
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


class RunData(msgspec.Struct, omit_defaults=True):
    metrics: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    params: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    tags: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class RunInputs(msgspec.Struct, omit_defaults=True):
    dataset_inputs: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    model_inputs: list[dict[str, str]] = []


class RunOutputs(msgspec.Struct, omit_defaults=True):
    model_outputs: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Run(msgspec.Struct, omit_defaults=True):
    """mlflow/entities/run.py, ``to_proto``; its lists are JSON as the database made it."""

    info: RunInfo
    data: RunData
    inputs: RunInputs
    outputs: RunOutputs


def to_run(stored: StoredRun, model_inputs: Sequence[str] = ()) -> Run:
    """A run of the store as the API's object."""
    row = stored.row
    return Run(
        run_info(row),
        RunData(
            msgspec.UNSET if stored.metrics is None else msgspec.Raw(stored.metrics),
            _raw(row["params"]),
            _raw(row["tags"]),
        ),
        RunInputs(_raw(row["dataset_inputs"]), [{"model_id": model_id} for model_id in model_inputs]),
        RunOutputs(_raw(row["model_outputs"])),
    )


def _raw(text: str | None) -> msgspec.Raw | msgspec.UnsetType:
    return msgspec.UNSET if text is None else msgspec.Raw(text.encode())


class GetRun(Message):
    run_id: RequiredText
    run_uuid: str | None = None


@operation(GetRun, _RUN_ID_RULES)
async def get(message: GetRun, services: Services) -> bytes:
    stored, model_inputs = await run_reads.get(services.database, message.run_id)
    return msgspec.json.encode({"run": to_run(stored, model_inputs)})


class SearchRuns(Message):
    experiment_ids: list[str] = []
    filter: str = ""
    run_view_type: ViewType = ViewType.ACTIVE_ONLY
    max_results: Annotated[int, msgspec.Meta(ge=INT32_MIN, le=50000)] = 1000
    order_by: list[str] = []
    page_token: str | None = None


class FoundRuns(msgspec.Struct, omit_defaults=True):
    runs: list[Run] = []
    next_page_token: str | None = None


@operation(
    SearchRuns,
    {
        "experiment_ids": [rules.array],
        "filter": [rules.string],
        "max_results": [rules.intlike, rules.at_most(50000)],
        "order_by": [rules.array, rules.string_items],
    },
)
async def search(message: SearchRuns, services: Services) -> bytes:
    plan = await planned(
        runs_page,
        services.database.dialect,
        message.experiment_ids,
        message.run_view_type.number,
        message.max_results,
        message.filter,
        message.order_by,
        message.page_token or None,
    )
    found, token = await run_reads.search(services.database, plan)
    return msgspec.json.encode(FoundRuns([to_run(stored) for stored in found], token))
