"""What the database relation hands out reaches a real PostgreSQL, by the server's driver and by stock MLflow's."""

from __future__ import annotations

import socket
import string
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import create_engine, text

from relations.database import DatabaseConnection
from support.postgres import PostgresServer
from tracking_server.config import DatabaseSettings
from tracking_server.settings_database import DatabaseUri
from tracking_server.store.postgres.hosts import Hosts

USERNAME = "relation_id_4@charm"
PASSWORD = string.punctuation + " ü%41"
DATABASE = "ml/flow?x=1"


@pytest.fixture(scope="module")
def host(postgres_server: PostgresServer) -> Iterator[str]:
    """A server that knows the name, the password and the database; where it listens."""
    names = sql.Identifier(USERNAME), sql.Identifier(DATABASE)
    with psycopg.connect(postgres_server.admin_uri, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(names[0], sql.Literal(PASSWORD)))
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(names[1], names[0]))
        yield urlsplit(postgres_server.admin_uri).netloc.rpartition("@")[2]
        connection.execute(sql.SQL("DROP DATABASE {}").format(names[1]))
        connection.execute(sql.SQL("DROP ROLE {}").format(names[0]))


@pytest.fixture
def dead_host() -> Iterator[str]:
    """Where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize("several", [False, True])
async def test_both_drivers_log_in(host: str, dead_host: str, several: bool) -> None:
    hosts = (dead_host, host) if several else (host,)
    uri = DatabaseConnection("4:x", hosts, DATABASE, USERNAME, PASSWORD).uri
    settings = DatabaseSettings(uri=DatabaseUri.parse(uri))
    native = await Hosts(settings.dsn_for_asyncpg(), timeout=10).connect()
    try:
        assert await native.fetchval("SELECT current_database() || current_user") == DATABASE + USERNAME
    finally:
        await native.close()
    engine = create_engine(settings.uri_for_stock())
    with engine.connect() as connection:
        assert connection.execute(text("SELECT current_database() || current_user")).scalar() == DATABASE + USERNAME
    engine.dispose()
