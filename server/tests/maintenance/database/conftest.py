"""Databases of older releases, and the real command on them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.postgres import PostgresServer
from support.processes import plain_environment

from .old_schemas import OldDatabases


@pytest.fixture(scope="session")
def old_databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> OldDatabases:
    def postgres() -> PostgresServer:
        server = request.getfixturevalue("postgres_server")
        assert isinstance(server, PostgresServer)
        return server

    return OldDatabases(tmp_path_factory.mktemp("old"), postgres)


class Database:
    """Runs ``tracking-server db`` on one database."""

    def __init__(self, folder: Path, uri: str) -> None:
        self.uri = uri
        self._folder = folder

    def arguments(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "tracking_server", *arguments]

    def environment(self) -> dict[str, str]:
        return plain_environment({"TRACKING_SERVER_DATABASE_URI": self.uri})

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.arguments("db", *arguments),
            cwd=self._folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def status(self) -> tuple[int, dict[str, Any]]:
        """The exit code and the answer of ``db status --json``."""
        done = self.run("status", "--json")
        return done.returncode, json.loads(done.stdout)

    def upgrade(self, *arguments: str) -> dict[str, Any]:
        """The answer of ``db upgrade --json``, which must succeed."""
        done = self.run("upgrade", "--json", *arguments)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer


@pytest.fixture
def database_at(tmp_path: Path) -> Callable[[str], Database]:
    """``database_at(uri)``: the command on that database."""
    return lambda uri: Database(tmp_path, uri)
