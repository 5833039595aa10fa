"""Metrics that are logged to a run and to a logged model at once (``_log_model_metrics`` of MLflow's store)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tracking_server.errors import ForwardRequest
from tracking_server.store import runs
from tracking_server.store.database import Connection, Database, Dialect, IntegrityViolation
from tracking_server.store.queries import QueryFile
from tracking_server.store.run_log import LogEntry, log_entries

_QUERIES = QueryFile("model_metrics")


@dataclass(frozen=True, slots=True)
class ModelMetric:
    """A metric of a logged model, its value as it is stored (``run_log.metric_row``)."""

    model_id: str
    key: str
    value: float
    timestamp: int
    step: int
    dataset_name: str | None
    dataset_digest: str | None


async def log(database: Database, entry: LogEntry, metrics: Sequence[ModelMetric]) -> None:
    """Logs ``entry`` and, of the same request, ``metrics`` of logged models, in one transaction.

    Raises ForwardRequest, with nothing written, for an unknown model and for a metric that was logged before:
    stock then stores one part of the request and refuses another.
    """
    try:
        await database.write(lambda connection: _log(connection, entry, metrics))
    except IntegrityViolation:
        raise ForwardRequest("model-metrics") from None


async def _log(connection: Connection, entry: LogEntry, metrics: Sequence[ModelMetric]) -> None:
    run = await runs.require_active(connection, entry.run_id)
    models = sorted({metric.model_id for metric in metrics})
    argument = models if connection.dialect is Dialect.POSTGRESQL else json.dumps(models)
    if len(await connection.fetch(_QUERIES["known_models"], argument)) < len(models):
        raise ForwardRequest("model-metrics")
    (refusal,) = await log_entries(connection, [entry])
    if refusal is not None:
        raise refusal
    await connection.execute_many(
        _QUERIES["insert_model_metric"],
        [
            (
                metric.model_id,
                metric.key,
                metric.timestamp,
                metric.step,
                metric.value,
                run["experiment_id"],
                entry.run_id,
                metric.dataset_name,
                metric.dataset_digest,
            )
            for metric in metrics
        ],
    )
