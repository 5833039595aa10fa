"""The pair of servers that every differential test talks to, on SQLite and on PostgreSQL.

``DIFFERENTIAL_OURS=stock`` puts a second stock MLflow in place of the tracking server: every script must then pass,
which shows that the scripts are deterministic and the harness reports no differences of its own making.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from differential.harness.pair import Pair
from differential.harness.pairing import make_pair
from differential.harness.script import Script
from support.databases import Databases, Dialect
from support.fixtures import DIALECTS


@pytest.fixture(scope="session", params=DIALECTS)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, databases: Databases
) -> Iterator[Pair]:
    """Stock and ours, each on its own database; they live as long as tests of their dialect run."""
    dialect: Dialect = request.param
    with make_pair(dialect, tmp_path_factory.mktemp(f"pair-{dialect}"), databases) as made:
        yield made


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves wrong fields on PostgreSQL to the slow run: most are refused before they reach a database."""
    for item in items:
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        script = parameters.get("script")
        if isinstance(script, Script) and "wrong fields" in script.name and parameters.get("pair") == "postgresql":
            item.add_marker(pytest.mark.slow)
