"""Fresh databases with MLflow's schema, copied from a template that MLflow itself made once a session."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from support.postgres import PostgresServer
from support.processes import plain_environment

Dialect = Literal["sqlite", "postgresql"]

_TEMPLATE = "mlflow_template"


class Databases:
    """Makes databases at MLflow's schema head: no experiment in them yet, not even the default one.

    ``postgres`` gives the PostgreSQL server; it is called only when a PostgreSQL database is asked for.
    """

    def __init__(self, folder: Path, postgres: Callable[[], PostgresServer]) -> None:
        self._folder = folder
        self._postgres = postgres
        self._numbers = itertools.count(1)
        self._has_template: set[Dialect] = set()

    def create(self, dialect: Dialect) -> str:
        """A new database; returns its URI."""
        return self.sqlite() if dialect == "sqlite" else self.postgresql()

    def sqlite(self) -> str:
        template = self._folder / f"{_TEMPLATE}.db"
        if "sqlite" not in self._has_template:
            upgrade_with_mlflow(f"sqlite:///{template}")
            self._has_template.add("sqlite")
        path = self._folder / f"{next(self._numbers)}" / "mlflow.db"
        path.parent.mkdir()
        shutil.copyfile(template, path)
        return f"sqlite:///{path}"

    def postgresql(self) -> str:
        server = self._postgres()
        if "postgresql" not in self._has_template:
            upgrade_with_mlflow(server.create_database(_TEMPLATE))
            self._has_template.add("postgresql")
        return server.create_database(f"test_{next(self._numbers)}", template=_TEMPLATE)

    def drop(self, uri: str) -> None:
        """Removes a database that ``create`` made."""
        if uri.startswith("sqlite:///"):
            shutil.rmtree(Path(uri.removeprefix("sqlite:///")).parent)
        else:
            self._postgres().drop_database(uri.rpartition("/")[2])


def upgrade_with_mlflow(uri: str) -> None:
    """Brings a database to the installed MLflow's schema by ``mlflow db upgrade``; RuntimeError when that fails."""
    done = subprocess.run(
        [sys.executable, "-m", "mlflow", "db", "upgrade", uri],
        env=plain_environment({"MLFLOW_DISABLE_TELEMETRY": "true"}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"MLflow could not make its schema:\n{done.stdout}{done.stderr}")
