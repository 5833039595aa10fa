"""What runs take in and give out: datasets and logged models (mlflow/server/handlers.py)."""

from __future__ import annotations

from tracking_server.api import rules
from tracking_server.api.messages import Int64, KeyValue, Message, RequiredText
from tracking_server.api.operation import EMPTY, operation
from tracking_server.services import Services
from tracking_server.store import run_inputs
from tracking_server.validation import check_dataset, check_input_tag, check_run_id


class Dataset(Message):
    name: str = ""
    digest: str = ""
    source_type: str = ""
    source: str = ""
    schema: str | None = None
    profile: str | None = None


class DatasetInput(Message):
    tags: list[KeyValue] = []
    dataset: Dataset | None = None


class ModelInput(Message):
    model_id: str = ""


class LogInputs(Message):
    run_id: RequiredText
    datasets: list[DatasetInput] = []
    models: list[ModelInput] = []


@operation(
    LogInputs,
    {"run_id": [rules.required, rules.string], "datasets": [rules.array], "models": [rules.array]},
)
async def log_inputs(message: LogInputs, services: Services) -> bytes:
    check_run_id(message.run_id)
    datasets = [_checked(given) for given in message.datasets]
    models = [model.model_id for model in message.models]
    await services.database.write(
        lambda connection: run_inputs.log_inputs(connection, message.run_id, datasets, models)
    )
    return EMPTY


def _checked(given: DatasetInput) -> run_inputs.DatasetInput:
    dataset = given.dataset or Dataset()
    check_dataset(dataset.name, dataset.digest, dataset.source, dataset.schema, dataset.profile)
    tags = [(tag.key or "", tag.value or "") for tag in given.tags]
    for key, value in tags:
        check_input_tag(key, value)
    return run_inputs.DatasetInput(
        dataset.name, dataset.digest, dataset.source_type, dataset.source, dataset.schema, dataset.profile, tags
    )


class ModelOutput(Message):
    model_id: str = ""
    step: Int64 = 0


class LogOutputs(Message):
    run_id: RequiredText
    models: list[ModelOutput]


@operation(
    LogOutputs,
    {"run_id": [rules.required, rules.string], "models": [rules.required, rules.array]},
)
async def log_outputs(message: LogOutputs, services: Services) -> bytes:
    models = [(model.model_id, model.step) for model in message.models]
    await services.database.write(lambda connection: run_inputs.log_outputs(connection, message.run_id, models))
    return EMPTY
