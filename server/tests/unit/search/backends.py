"""One database with stock's stores on it, and a way to run a plan there without our drivers."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import asyncpg
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore

from tracking_server.search.plan import SearchPlan
from tracking_server.store.database import Dialect


class Backend(Protocol):
    """One database, seen by stock and by us."""

    dialect: Dialect
    tracking: TrackingStore
    registry: RegistryStore

    def run(self, plan: SearchPlan) -> list[tuple[Any, ...]]: ...


@dataclass
class SqliteBackend:
    tracking: TrackingStore
    registry: RegistryStore
    connection: sqlite3.Connection
    dialect: Dialect = Dialect.SQLITE

    def run(self, plan: SearchPlan) -> list[tuple[Any, ...]]:
        arguments = [json.dumps(each) if isinstance(each, list) else each for each in plan.arguments]
        return self.connection.execute(plan.query.sqlite, arguments).fetchall()


@dataclass
class PostgresqlBackend:
    tracking: TrackingStore
    registry: RegistryStore
    connection: asyncpg.Connection[asyncpg.Record]
    runner: asyncio.Runner
    dialect: Dialect = Dialect.POSTGRESQL

    def run(self, plan: SearchPlan) -> list[tuple[Any, ...]]:
        async def fetch() -> Sequence[asyncpg.Record]:
            return await self.connection.fetch(plan.query.postgresql, *plan.arguments)

        return [tuple(row) for row in self.runner.run(fetch())]
