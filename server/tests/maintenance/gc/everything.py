"""A database with rows in every table of MLflow's, made from its own models: what is new in a later MLflow is in it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa
from mlflow.store.db.base_sql_model import Base
from mlflow.store.model_registry.dbmodels import models as registry_models
from mlflow.store.tracking.dbmodels import models as tracking_models

TABLES: Mapping[str, sa.Table] = {table.name: table for table in Base.metadata.sorted_tables}
"""Every table by name, parents first."""
MODULES = (registry_models, tracking_models)
"""What fills the metadata when it is imported."""

DAY = 24 * 60 * 60 * 1000
NOW = int(time.time() * 1000)
OLD, YOUNG = NOW - 40 * DAY, NOW - 2 * DAY

Row = dict[str, Any]


@dataclass(frozen=True)
class World:
    """An experiment with something of everything in it; entities are given by their columns."""

    experiment: Row
    runs: Sequence[Row]
    models: Sequence[Row]
    jobs: Sequence[Row] = ()
    rows: dict[str, list[Row]] = field(default_factory=dict)


def worlds(root: str) -> list[World]:
    """Active and deleted experiments, whose runs and models were deleted long ago, lately, or not at all.

    Artifacts lie below ``root``. No experiment has a guardrail: it would keep stock from deleting anything.
    """
    return [
        # Stock would make it.
        World(_experiment(0, root, "active", OLD), [], []),
        World(
            _experiment(1, root, "active", OLD),
            [_run(1, root, "active"), _run(2, root, "deleted", OLD), _run(3, root, "deleted", YOUNG)],
            [_model(1, root, "active"), _model(2, root, "deleted", OLD), _model(3, root, "deleted", YOUNG)],
            [{"id": f"job-{status}", "status": status, "creation_time": OLD} for status in range(7)]
            + [{"id": "job-young", "status": 2, "creation_time": YOUNG}],
        ),
        World(
            _experiment(2, root, "deleted", OLD),
            # An active run in a deleted experiment: somebody restored it. Its rows go with the experiment.
            [_run(4, root, "deleted", OLD, 2), _run(5, root, "active", None, 2)],
            [_model(4, root, "active", OLD, 2), _model(5, root, "deleted", OLD, 2)],
        ),
        World(
            _experiment(3, root, "deleted", YOUNG),
            [_run(6, root, "deleted", YOUNG, 3), _run(7, root, "deleted", YOUNG, 3)],
            [_model(6, root, "active", YOUNG, 3)],
        ),
        World(_experiment(4, root, "deleted", OLD), [_run(8, root, "deleted", OLD, 4)], []),
    ]


def run_id(number: int) -> str:
    return f"{number:032x}"


def fill(uri: str, content: Sequence[World]) -> None:
    """Writes rows into every table, for each world and each combination of what a row refers to within it."""
    engine = sa.create_engine(uri)
    numbers = itertools.count(1000)
    with engine.begin() as connection:
        for world in content:
            for table in TABLES.values():
                rows = world.rows[table.name] = list(_rows(table, world, numbers))
                if rows:
                    connection.execute(table.insert(), rows)
        # Between worlds: metrics that a run logged for a model of another experiment.
        if len(content) > 1:
            for source, target in itertools.permutations(content, 2):
                if rows := _crossing(source, target, numbers):
                    connection.execute(TABLES["logged_model_metrics"].insert(), rows)
    engine.dispose()


def insert(uri: str, table: str, row: Row) -> None:
    """Writes one more row, of which only some columns matter."""
    world = World({"experiment_id": 0}, [], [])
    engine = sa.create_engine(uri)
    with engine.begin() as connection:
        values = _values(TABLES[table], world, itertools.count(900_000))
        connection.execute(TABLES[table].insert(), [values | {"action_endpoint_id": None} | row])
    engine.dispose()


def dump(uri: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables, sorted."""
    engine = sa.create_engine(uri)
    with engine.connect() as connection:
        found = {
            name: sorted((tuple(row) for row in connection.execute(sa.select(table))), key=repr)
            for name, table in TABLES.items()
        }
    engine.dispose()
    return found


def _experiment(number: int, root: str, stage: str, changed: int) -> Row:
    location = f"{root}/{number}"
    return {
        "experiment_id": number,
        "name": f"experiment {number}",
        "artifact_location": location,
        "lifecycle_stage": stage,
        "last_update_time": changed,
        "workspace": "default",
    }


def _run(number: int, root: str, stage: str, deleted: int | None = None, experiment: int = 1) -> Row:
    return {
        "run_uuid": run_id(number),
        "lifecycle_stage": stage,
        "deleted_time": deleted,
        "artifact_uri": f"{root}/{experiment}/{run_id(number)}/artifacts",
        "status": "FINISHED",
        "source_type": "LOCAL",
    }


def _model(number: int, root: str, stage: str, changed: int = OLD, experiment: int = 1) -> Row:
    return {
        "model_id": f"m-{number}",
        "status": 2,
        "lifecycle_stage": stage,
        "last_updated_timestamp_ms": changed,
        "artifact_location": f"{root}/{experiment}/models/m-{number}/artifacts/",
    }


def _rows(table: sa.Table, world: World, numbers: Iterator[int]) -> Iterator[Row]:
    given: Mapping[str, Sequence[Row]] = {
        "experiments": [world.experiment],
        "runs": world.runs,
        "logged_models": world.models,
        "jobs": world.jobs,
        "guardrails": [],
    }
    constraints = [each for each in table.foreign_key_constraints if each.referred_table is not table]
    parents = [world.rows[each.referred_table.name] for each in constraints]
    for own in given.get(table.name, [{}, {}]):
        for chosen in itertools.product(*parents):
            row = _values(table, world, numbers)
            references: Row = {}
            for constraint, parent in zip(constraints, chosen, strict=True):
                for element in constraint.elements:
                    value = parent[element.column.name]
                    if references.setdefault(element.parent.name, value) != value:
                        break
                else:
                    continue
                break
            else:
                yield row | references | own


def _crossing(source: World, target: World, numbers: Iterator[int]) -> list[Row]:
    table = TABLES["logged_model_metrics"]
    return [
        _values(table, source, numbers)
        | {"run_id": run["run_uuid"], "model_id": model["model_id"], "experiment_id": target_id}
        for run in source.runs
        for model in target.models
        # NO ACTION on the experiment: one that goes with neither would keep stock from deleting it.
        for target_id in [target.experiment["experiment_id"]]
    ]


def _values(table: sa.Table, world: World, numbers: Iterator[int]) -> Row:
    """A value for each column, new ones where it may have to be unique."""
    row: Row = {}
    for column in table.columns:
        if column.computed is not None:
            continue
        if column.name == "experiment_id":
            row[column.name] = world.experiment["experiment_id"]
        elif column.name == "workspace":
            row[column.name] = "default"
        else:
            row[column.name] = _value(column, next(numbers))
    return row


def _value(column: sa.Column[Any], number: int) -> object:
    kind = column.type
    if column.nullable and isinstance(kind, sa.types.TypeDecorator | sa.JSON):
        # Some take values of their own making only.
        return None
    if isinstance(kind, sa.Boolean):
        return False
    if isinstance(kind, sa.JSON):
        return {"number": number}
    if isinstance(kind, sa.Integer):
        return number
    if isinstance(kind, sa.Numeric | sa.Float):
        return number + 0.5
    if isinstance(kind, sa.LargeBinary):
        return str(number).encode()
    if isinstance(kind, sa.DateTime):
        return datetime.fromtimestamp(number, UTC)
    if isinstance(kind, sa.Date):
        return date.fromordinal(number)
    # Short, because a column's migration may allow less than its model.
    text = f"{column.name} {number}"[-16:]
    return text[-(kind.length or 16) :] if isinstance(kind, sa.String) else text
