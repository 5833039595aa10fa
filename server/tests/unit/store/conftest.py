"""A database of each kind for every test, and a way to act on it from outside."""

from __future__ import annotations

import dataclasses
import itertools
import secrets
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from support.postgres import PostgresServer
from tracking_server.config import Config
from tracking_server.settings_database import DatabaseUri
from tracking_server.store import connect, experiments
from tracking_server.store.database import Connection, Database, Dialect
from tracking_server.store.postgres import PostgresDatabase, PostgresOptions
from tracking_server.store.queries import Query
from tracking_server.store.sqlite import SqliteDatabase, SqliteOptions

_numbers = itertools.count(1)
CREATE = Query.build(
    "create",
    """CREATE TABLE item (
        id bigint PRIMARY KEY,
        name varchar(20) NOT NULL UNIQUE,
        value double precision CONSTRAINT item_value_limit CHECK (value < 1000),
        flag boolean,
        parent bigint REFERENCES item (id)
    )""",
)
INSERT = Query.build("insert", "INSERT INTO item (id, name) VALUES ($1, $2)")
COUNT = Query.build("count", "SELECT count(*) AS n FROM item")


@dataclass(frozen=True)
class Place:
    """Where a test's database is, and how to reach it without the driver."""

    dialect: Dialect
    address: str

    async def open(
        self, *, connections: int = 3, wait_seconds: float = 10.0, statement_timeout: float = 30.0
    ) -> Database:
        """The database behind the store's contract. SQLite gets as many readers as ``connections``."""
        if self.dialect is Dialect.SQLITE:
            sqlite = SqliteOptions(connections, wait_seconds, statement_timeout)
            return await SqliteDatabase.open(self.address, sqlite)
        postgres = PostgresOptions(
            max_connections=connections, wait_seconds=wait_seconds, statement_timeout=statement_timeout
        )
        return await PostgresDatabase.connect(self.address, postgres)

    def outside(self) -> sqlite3.Connection | psycopg.Connection[tuple[object, ...]]:
        """A connection as another process would have it, in autocommit."""
        if self.dialect is Dialect.SQLITE:
            return sqlite3.connect(self.address, isolation_level=None)
        return psycopg.connect(self.address, autocommit=True)

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """What another process sees."""
        with closing(self.outside()) as connection:
            return connection.execute(sql).fetchall()


Open = Callable[..., Awaitable[Database]]


def postgres_place(server: PostgresServer) -> Place:
    """A new, empty database on ``server``, which finds deadlocks soon."""
    name = f"store_{secrets.token_hex(6)}"
    uri = server.create_database(name)
    server.execute("ALTER DATABASE {} SET deadlock_timeout = '50ms'", name)
    return Place(Dialect.POSTGRESQL, uri)


@pytest.fixture(params=list(Dialect))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty database of each kind."""
    if request.param is Dialect.SQLITE:
        return Place(Dialect.SQLITE, str(tmp_path / "folder" / "test.db"))
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return postgres_place(server)


@pytest.fixture
async def open_database(place: Place) -> AsyncIterator[Open]:
    """Opens the place with limits of the test's choice; closes it after the test."""
    async with AsyncExitStack() as stack:

        async def opened(**limits: float) -> Database:
            database = await place.open(**limits)  # type: ignore[arg-type]  # one of them is an int
            stack.push_async_callback(database.close)
            return database

        yield opened


@pytest.fixture
async def store(open_database: Open) -> Database:
    """A database with the table ``item``."""
    database = await open_database()
    await database.write(lambda connection: connection.execute(CREATE))
    return database


@pytest.fixture
async def opened(database: str) -> AsyncIterator[Database]:
    """A new database of each kind with MLflow's schema, opened as the server opens it."""
    store = await connect.open_database(dataclasses.replace(Config().database, uri=DatabaseUri.parse(database)))
    yield store
    await store.close()


async def make_experiment(database: Database) -> int:
    """A new experiment with artifacts below ``root/``, in a database with MLflow's schema."""
    return await database.write(
        lambda connection: experiments.create(connection, f"e{next(_numbers)}", [], lambda new_id: f"root/{new_id}")
    )


async def values(database: Database, sql: str, *arguments: object) -> list[tuple[object, ...]]:
    """What a statement of the test's own reads."""
    return [tuple(row) for row in await database.fetch(Query.build("test", sql), *arguments)]


def insert(number: int, name: str | None = None) -> Callable[[Connection], Awaitable[int]]:
    """Work that inserts one item, named after its number by default."""
    return lambda connection: connection.execute(INSERT, number, f"item-{number}" if name is None else name)


async def count(database: Database) -> int:
    row = await database.fetch_one(COUNT)
    assert row is not None
    number: int = row["n"]
    return number
