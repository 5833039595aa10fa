"""Both databases, filled by stock MLflow's own stores."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore

from support.databases import Databases
from unit.search import samples
from unit.search.backends import Backend, PostgresqlBackend, SqliteBackend


@contextmanager
def filled_stores(uri: str, folder: Path) -> Iterator[tuple[TrackingStore, RegistryStore]]:
    tracking, registry = TrackingStore(uri, str(folder)), RegistryStore(uri)
    samples.fill(tracking, registry)
    yield tracking, registry
    tracking._dispose_engine()
    registry._dispose_engine()


@pytest.fixture(scope="session")
def sqlite_backend(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteBackend]:
    uri = databases.create("sqlite")
    with filled_stores(uri, tmp_path_factory.mktemp("artifacts")) as (tracking, registry):
        connection = sqlite3.connect(uri.removeprefix("sqlite:///"))
        yield SqliteBackend(tracking, registry, connection)
        connection.close()


@pytest.fixture(scope="session")
def postgresql_backend(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresqlBackend]:
    uri = databases.create("postgresql")
    with (
        filled_stores(uri, tmp_path_factory.mktemp("artifacts")) as (tracking, registry),
        asyncio.Runner() as runner,
    ):
        connection = runner.run(asyncpg.connect(uri))
        yield PostgresqlBackend(tracking, registry, connection, runner)
        runner.run(connection.close())


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> Backend:
    found: Backend = request.getfixturevalue(f"{request.param}_backend")
    return found
