"""Logging to runs: metrics, parameters, tags, alone and in batches (mlflow/server/handlers.py)."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tracking_server.api import rules
from tracking_server.api.messages import Double, Int64, Message, RequiredText, to_float
from tracking_server.api.operation import EMPTY, operation
from tracking_server.errors import invalid_parameter
from tracking_server.services import Services
from tracking_server.store import model_metrics
from tracking_server.store.model_metrics import ModelMetric
from tracking_server.store.run_log import LogEntry, MetricRow, metric_row
from tracking_server.validation import check_batch, check_metric, check_run_id, checked_param, checked_tag, is_sound_key

_MAX_DOUBLE = sys.float_info.max


class LogMetric(Message):
    run_id: RequiredText
    key: RequiredText
    value: Double
    timestamp: Int64
    run_uuid: str | None = None
    step: Int64 = 0
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


@operation(
    LogMetric,
    {
        "run_id": [rules.required, rules.string],
        "key": [rules.required, rules.string],
        "value": [rules.required, rules.floatlike],
        "timestamp": [rules.intlike, rules.required],
        "step": [rules.intlike],
        "model_id": [rules.string],
        "dataset_name": [rules.string],
        "dataset_digest": [rules.string],
    },
)
async def log_metric(message: LogMetric, services: Services) -> bytes:
    value = to_float(message.value)
    _check_dataset(message.dataset_name, message.dataset_digest)
    check_metric(message.key, value, message.timestamp)
    row = metric_row(message.run_id, message.key, value, message.timestamp, message.step)
    entry = LogEntry(message.run_id, (row,))
    if message.model_id:
        metric = _model_metric(message.model_id, row, message.dataset_name, message.dataset_digest)
        await model_metrics.log(services.database, entry, [metric])
    else:
        await services.run_log.log(entry)
    return EMPTY


class LogParam(Message):
    run_id: RequiredText
    key: RequiredText
    value: str = ""
    run_uuid: str | None = None


_KEYED_RULES = {
    "run_id": [rules.required, rules.string],
    "key": [rules.required, rules.string],
    "value": [rules.string],
}


@operation(LogParam, _KEYED_RULES)
async def log_param(message: LogParam, services: Services) -> bytes:
    param = checked_param(message.key, message.value)
    await services.run_log.log(LogEntry(message.run_id, params=(param,), single_param=True))
    return EMPTY


class SetTag(Message):
    run_id: RequiredText
    key: RequiredText
    value: str = ""
    run_uuid: str | None = None


@operation(SetTag, _KEYED_RULES)
async def set_tag(message: SetTag, services: Services) -> bytes:
    tag = checked_tag(message.key, message.value)
    await services.run_log.log(LogEntry(message.run_id, tags=(tag,)))
    return EMPTY


class BatchMetric(Message):
    key: RequiredText
    value: Double
    timestamp: Int64
    step: Int64 = 0
    dataset_name: str | None = None
    dataset_digest: str | None = None
    model_id: str | None = None
    run_id: str | None = None


class BatchPair(Message):
    """A parameter or tag of a batch."""

    key: RequiredText
    value: str = ""


class LogBatch(Message):
    run_id: RequiredText
    metrics: list[BatchMetric] = []
    params: list[BatchPair] = []
    tags: list[BatchPair] = []


@operation(
    LogBatch,
    {
        "run_id": [rules.string, rules.required],
        "metrics": [rules.array, rules.fields_present("metrics", "key", "value", "timestamp")],
        "params": [rules.array, rules.fields_present("params", "key")],
        "tags": [rules.array, rules.fields_present("tags", "key")],
    },
)
async def log_batch(message: LogBatch, services: Services) -> bytes:
    run_id = message.run_id
    for metric in message.metrics:
        if metric.dataset_name or metric.dataset_digest:
            _check_dataset(metric.dataset_name, metric.dataset_digest)
    check_run_id(run_id)
    rows = _metric_rows(run_id, message.metrics)
    params = [checked_param(pair.key, pair.value, f"params[{index}]") for index, pair in enumerate(message.params)]
    tags = [checked_tag(pair.key, pair.value, f"tags[{index}]") for index, pair in enumerate(message.tags)]
    check_batch(len(rows), len(params), len(tags))
    _check_unique([key for key, _ in params])
    entry = LogEntry(run_id, rows, params, tags)
    of_models = [
        _model_metric(metric.model_id, row, metric.dataset_name, metric.dataset_digest)
        for metric, row in zip(message.metrics, rows, strict=True)
        if metric.model_id
    ]
    if of_models:
        await model_metrics.log(services.database, entry, of_models)
    else:
        await services.run_log.log(entry)
    return EMPTY


def _metric_rows(run_id: str, metrics: Sequence[BatchMetric]) -> list[MetricRow]:
    rows = []
    for index, metric in enumerate(metrics):
        key, value, timestamp = metric.key, metric.value, metric.timestamp
        # What nearly every metric is, a finite number under a good key, needs no further look (bench: log-batch).
        if type(value) is float and -_MAX_DOUBLE <= value <= _MAX_DOUBLE and timestamp >= 0 and is_sound_key(key):
            rows.append((run_id, key, value, timestamp, metric.step, False))
            continue
        value = to_float(value)
        check_metric(key, value, timestamp, f"metrics[{index}]")
        rows.append(metric_row(run_id, key, value, timestamp, metric.step))
    return rows


def _check_dataset(name: str | None, digest: str | None) -> None:
    if bool(name) != bool(digest):
        raise invalid_parameter("Both dataset_name and dataset_digest must be provided if one is provided")


def _model_metric(model_id: str, row: MetricRow, dataset_name: str | None, dataset_digest: str | None) -> ModelMetric:
    _, key, value, timestamp, step, _ = row
    return ModelMetric(model_id, key, value, timestamp, step, dataset_name or None, dataset_digest or None)


def _check_unique(keys: Sequence[str]) -> None:
    if len(set(keys)) == len(keys):
        return
    repeated = [key for index, key in enumerate(keys) if key in keys[:index]]
    raise invalid_parameter(
        f"Duplicate parameter keys have been submitted: {repeated}. Please ensure the request contains only one param"
        " value per param key."
    )
