"""The pair of servers that every differential test talks to, on SQLite and on PostgreSQL.

``DIFFERENTIAL_OURS=stock`` puts a second stock MLflow in place of the tracking server: every script must then pass,
which shows that the scripts are deterministic and the harness reports no differences of its own making.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from differential.harness.pair import Pair
from differential.harness.pairing import DIALECTS, make_pair, new_sqlite
from differential.harness.servers import Postgres, sqlite_template


@pytest.fixture(scope="session")
def template_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database at MLflow's head."""
    return sqlite_template(tmp_path_factory.mktemp("sqlite-template"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server with a template database."""
    server = Postgres()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session", params=DIALECTS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Stock and ours, each on its own copy of the same database; they live as long as tests of their dialect run."""
    dialect = str(request.param)
    folder = tmp_path_factory.mktemp(f"pair-{dialect}")

    def new_database(name: str) -> str:
        if dialect == "sqlite":
            return new_sqlite(folder, request.getfixturevalue("template_file"))(name)
        server: Postgres = request.getfixturevalue("postgres")
        return server.create(name)

    with make_pair(dialect, folder, new_database) as made:
        yield made
