"""Databases of older MLflow releases: made by MLflow's own migrations up to a release's revision, with rows."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from mlflow.store.db.utils import _get_alembic_config, _upgrade_db
from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase

from support.databases import Dialect
from support.postgres import PostgresServer

RELEASES = {"2.9": "acf3f17fdcc7", "2.22": "0584bdc529eb", "3.1": "6953534de441", "3.9": "d3e4f5a6b7c8"}
"""The revision that a new database of each release is at, as its wheel shows."""
NEWEST = {"2.9": "2.12", "2.22": "2.22", "3.1": "3.1.0", "3.9": "3.9"}
"""The newest release with the same revision."""

RUNS, POINTS = 20, 50

Rows = dict[str, list[tuple[Any, ...]]]


class OldDatabases:
    """Makes such databases, each a copy of one that was made once. URIs are as a user writes them."""

    def __init__(self, folder: Path, postgres: Callable[[], PostgresServer]) -> None:
        self._folder = folder
        self._postgres = postgres
        self._numbers = itertools.count(1)
        self._templates: dict[tuple[str, Dialect], str] = {}

    def create(self, release: str, dialect: Dialect) -> str:
        """A new database at ``release``'s revision, with rows in every table that a trainer fills."""
        template = self._templates.get((release, dialect))
        if template is None:
            template = self._templates[release, dialect] = self.empty(dialect)
            InitialBase.metadata.create_all(engine_of(template))
            upgrade_to(template, RELEASES[release])
            with engine_of(template).begin() as connection:
                fill(connection)
        return self.copy(template)

    def empty(self, dialect: Dialect) -> str:
        """A new database without tables; on SQLite without a file."""
        number = next(self._numbers)
        if dialect == "postgresql":
            return self._postgres().create_database(f"old_{number}")
        folder = self._folder / str(number)
        folder.mkdir()
        return f"sqlite:///{folder}/mlflow.db"

    def copy(self, uri: str) -> str:
        """A copy of a database that nobody uses."""
        if not uri.startswith("sqlite"):
            return self._postgres().create_database(f"old_{next(self._numbers)}", template=uri.rpartition("/")[2])
        copied = self.empty("sqlite")
        shutil.copyfile(uri.removeprefix("sqlite:///"), copied.removeprefix("sqlite:///"))
        return copied


def engine_of(uri: str) -> sa.Engine:
    """An engine that keeps no connection, which would be in the way of copies."""
    return sa.create_engine(uri, poolclass=sa.NullPool)


def upgrade_to(uri: str, revision: str) -> None:
    """Has MLflow's migrations bring a database, which may be one without a revision yet, to ``revision``."""
    command.upgrade(_get_alembic_config(uri), revision)


def upgrade_with_stock(uri: str) -> None:
    """What ``mlflow db upgrade`` does, without the seconds that the command takes to start."""
    _upgrade_db(engine_of(uri))


def rows_of(uri: str) -> Rows:
    """Every row of every table, in an order of its own."""
    with engine_of(uri).connect() as connection:
        return {
            name: sorted(
                (tuple(row) for row in connection.exec_driver_sql(f'SELECT * FROM "{name}"')),
                key=repr,
            )
            for name in sorted(sa.inspect(connection).get_table_names())
        }


def schema_of(uri: str) -> dict[str, object]:
    """Columns, keys, indexes and checks of every table, in words that compare."""
    with engine_of(uri).connect() as connection:
        inspector = sa.inspect(connection)
        columns = {
            key: sorted((each["name"], str(each["type"]), each["nullable"], each["default"]) for each in found)
            for key, found in inspector.get_multi_columns().items()
        }
        parts: dict[str, Mapping[Any, Sequence[object]]] = {
            "foreign keys": inspector.get_multi_foreign_keys(),
            "indexes": inspector.get_multi_indexes(),
            "unique": inspector.get_multi_unique_constraints(),
            "checks": inspector.get_multi_check_constraints(),
        }
        primary_keys = inspector.get_multi_pk_constraint()
    return {
        key[1]: {"columns": found, "primary key": primary_keys[key]}
        | {part: sorted(map(repr, constraints[key])) for part, constraints in parts.items()}
        for key, found in columns.items()
    }


def fill(connection: sa.Connection) -> None:
    """Rows that migrations have to carry over: NaN, long values, deleted runs, models, traces where there are any."""
    tables = set(sa.inspect(connection).get_table_names())

    def insert(table: str, **values: object) -> None:
        if table in tables:
            columns = [each["name"] for each in sa.inspect(connection).get_columns(table)]
            kept = {name: value for name, value in values.items() if name in columns}
            connection.execute(sa.table(table, *map(sa.column, kept)).insert(), kept)

    for number in (0, 1):
        stage = "active"
        insert("experiments", experiment_id=number, name=f"e{number}", artifact_location="x", lifecycle_stage=stage)
        insert("experiment_tags", key="k", value="v" * 5000, experiment_id=number)
    insert("registered_models", name="model", creation_time=1, last_updated_time=2, description="d")
    insert("registered_model_tags", name="model", key="k", value="v")
    for number in range(RUNS):
        run = f"{number:032x}"
        stage = "deleted" if number % 5 == 4 else "active"
        insert(
            "runs",
            **{"run_uuid": run, "name": f"run {number}", "source_type": "LOCAL", "user_id": "me", "status": "FINISHED"},
            **{"start_time": 1000 + number, "lifecycle_stage": stage, "artifact_uri": "x", "experiment_id": 1},
        )
        insert("params", key="p", value="v" * 400, run_uuid=run)
        insert("tags", key="mlflow.user", value="t" * 4000, run_uuid=run)
        for step in range(POINTS):
            point = {"key": "loss", "timestamp": step, "step": step, "run_uuid": run}
            insert("metrics", value=0 if step == 7 else 1 / (step + 1), is_nan=step == 7, **point)
        insert(
            "latest_metrics", key="loss", value=0.02, timestamp=POINTS - 1, step=POINTS - 1, is_nan=False, run_uuid=run
        )
        insert("model_versions", name="model", version=number + 1, run_id=run, current_stage="None", creation_time=1)
        _fill_trace(insert, number)


def _fill_trace(insert: Callable[..., None], number: int) -> None:
    trace = f"tr-{number}"
    insert("trace_info", request_id=trace, experiment_id=1, timestamp_ms=number, execution_time_ms=5, status="OK")
    insert("trace_tags", key="mlflow.traceName", value=f"trace {number}", request_id=trace)
    usage = '{"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}'
    for key, value in (("mlflow.trace.tokenUsage", usage), ("mlflow.trace.session", "s1")):
        insert("trace_request_metadata", key=key, value=value, request_id=trace)
    insert(
        "spans",
        **{"trace_id": trace, "experiment_id": 1, "span_id": "a", "name": "s", "type": "LLM", "status": "OK"},
        **{"start_time_unix_nano": 1, "end_time_unix_nano": 9, "content": "{}"},
    )
    insert(
        "assessments",
        **{"assessment_id": f"a-{number}", "trace_id": trace, "name": "good", "assessment_type": "feedback"},
        **{"value": "true", "created_timestamp": 1, "last_updated_timestamp": 1, "source_type": "HUMAN"},
        **{"source_id": "me", "valid": True},
    )
