"""Where the artifacts of runs, model versions and logged models lie, as the database says."""

from __future__ import annotations

from dataclasses import dataclass

from tracking_server.errors import does_not_exist
from tracking_server.store.database import Connection, DataViolation, Row
from tracking_server.store.queries import Query, QueryFile
from tracking_server.store.run_errors import run_not_found

_QUERIES = QueryFile("artifact_roots")
_RUN_ROOT = _QUERIES["run_root"]
_MODEL_VERSION_ROOT = _QUERIES["model_version_root"]
_LOGGED_MODEL_ROOT = _QUERIES["logged_model_root"]


@dataclass(frozen=True, slots=True)
class RunRoot:
    """A run's artifact URI and its experiment."""

    uri: str
    experiment_id: str


async def of_run(connection: Connection, run_id: str | None) -> RunRoot:
    """Raises RESOURCE_DOES_NOT_EXIST. A deleted run still has its artifacts."""
    row = await _row(connection, _RUN_ROOT, run_id)
    if row is None:
        raise run_not_found(run_id)
    return RunRoot(row["artifact_uri"], str(row["experiment_id"]))


async def of_model_version(connection: Connection, name: str, version: int) -> str:
    """The URI from which the version is downloaded. Raises RESOURCE_DOES_NOT_EXIST."""
    row = await _row(connection, _MODEL_VERSION_ROOT, name, version)
    if row is None:
        raise does_not_exist(f"Model Version (name={name}, version={version}) not found")
    return str(row["storage_location"] or row["source"])


async def of_logged_model(connection: Connection, model_id: str) -> str:
    """The URI of the model's directory. Raises RESOURCE_DOES_NOT_EXIST, also for a deleted model."""
    row = await _row(connection, _LOGGED_MODEL_ROOT, model_id)
    if row is None:
        raise does_not_exist(f"Logged model with ID '{model_id}' not found.")
    return str(row["artifact_location"])


async def _row(connection: Connection, query: Query, *key: object) -> Row | None:
    try:
        return await connection.fetch_one(query, *key)
    except DataViolation:
        # What no column can hold is not there.
        return None
