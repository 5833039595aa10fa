"""A PostgreSQL to kill, and servers on databases of either kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.databases import Databases
from support.ours import TrackingServer
from support.postgres import PostgresServer
from support.requirements import requires


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL that a test may kill, if it starts it again."""
    server = PostgresServer(requires("postgresql"))
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.fixture(scope="module")
def own_databases(own_postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Databases:
    """Makes databases on it."""
    return Databases(tmp_path_factory.mktemp("own-databases"), lambda: own_postgres)


def make_server(
    folder: Path, uri: str, *, wait_seconds: float = 10.0, grace: float = 20.0, stock: bool = False
) -> TrackingServer:
    """Two workers, that wait so long for a database that is away, with stock MLflow or without."""
    return TrackingServer(
        folder / "server",
        database_uri=uri,
        artifacts_destination=str(folder / "artifacts"),
        workers=2,
        eager=stock,
        settings={
            "server": {"shutdown_grace": grace},
            "database": {"wait_seconds": wait_seconds},
            "stock": {"enabled": stock, "restart_delay": 0.2},
            "logging": {"format": "json"},
        },
    )
