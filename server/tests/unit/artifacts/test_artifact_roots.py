"""Where owners' artifacts lie, read from both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tracking_server.config import DatabaseSettings
from tracking_server.errors import ErrorCode, MlflowError
from tracking_server.settings_database import DatabaseUri
from tracking_server.store import artifact_roots
from tracking_server.store.connect import open_database
from tracking_server.store.database import Connection, Database
from tracking_server.store.queries import Query

ROWS = [
    "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage) VALUES (7, 'e', 'x', 'active')",
    "INSERT INTO runs (run_uuid, experiment_id, artifact_uri, lifecycle_stage, source_type, status)"
    " VALUES ('run', 7, 'mlflow-artifacts:/7/run/artifacts', 'deleted', 'UNKNOWN', 'RUNNING')",
    "INSERT INTO registered_models (workspace, name) VALUES ('default', 'reg')",
    "INSERT INTO model_versions (workspace, name, version, source, storage_location, current_stage) VALUES"
    " ('default', 'reg', 1, 'source', 'storage', 'None'), ('default', 'reg', 2, 'source', NULL, 'None'),"
    " ('default', 'reg', 3, 'source', NULL, 'Deleted_Internal')",
    "INSERT INTO logged_models (model_id, experiment_id, name, artifact_location, creation_timestamp_ms,"
    " last_updated_timestamp_ms, status, lifecycle_stage) VALUES"
    " ('m', 7, 'm', 'models/m', 1, 1, 1, 'active'), ('gone', 7, 'm', 'models/gone', 1, 1, 1, 'deleted')",
]


@pytest.fixture
async def filled(database: str) -> AsyncIterator[Database]:
    opened = await open_database(DatabaseSettings(uri=DatabaseUri.parse(database)))

    async def insert(connection: Connection) -> None:
        for number, sql in enumerate(ROWS):
            await connection.execute(Query.build(f"row_{number}", sql))

    await opened.write(insert)
    yield opened
    await opened.close()


async def run_root(database: Database, run_id: str | None) -> artifact_roots.RunRoot:
    return await database.read(lambda connection: artifact_roots.of_run(connection, run_id))


async def model_root(database: Database, model_id: str) -> str:
    return await database.read(lambda connection: artifact_roots.of_logged_model(connection, model_id))


async def version_root(database: Database, version: int) -> str:
    return await database.read(lambda connection: artifact_roots.of_model_version(connection, "reg", version))


async def test_roots_are_found(filled: Database) -> None:
    assert await run_root(filled, "run") == artifact_roots.RunRoot("mlflow-artifacts:/7/run/artifacts", "7")
    assert await model_root(filled, "m") == "models/m"
    assert [await version_root(filled, version) for version in (1, 2)] == ["storage", "source"]


async def test_what_is_missing_deleted_or_impossible_is_not_found(filled: Database) -> None:
    for run_id in (None, "", "nothing", "nul\0"):
        with pytest.raises(MlflowError, match="Run with id=") as missing:
            await run_root(filled, run_id)
        assert missing.value.code is ErrorCode.RESOURCE_DOES_NOT_EXIST
    for model_id in ("gone", "nothing", "nul\0"):
        with pytest.raises(MlflowError, match="Logged model with ID"):
            await model_root(filled, model_id)
    for version in (3, 4, -1, 2**31, 2**70):
        with pytest.raises(MlflowError, match="Model Version"):
            await version_root(filled, version)
