"""Fills a database with experiments, runs and registered models, by PostgreSQL itself; the same each time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import sql

METRICS, PARAMS, TAGS = 30, 20, 10
TRAINING_KEYS = 1000

# Experiments by what their runs are for; the others have none.
SEARCHED, TRAINING, CREATED, LONG, SOAK, FRESH = 1, 2, 3, 4, 5, 6


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything there is.

    ``runs``: those of the experiment that is searched, each with 30 latest metrics, 20 params and 10 tags;
    ``rows``: rows of the table metrics, about; ``long_steps``: steps of the longest run.
    """

    runs: int = 20_000
    rows: int = 8_000_000
    long_steps: int = 1_000_000
    history: int = 25_000
    curves: int = 10
    curve_points: int = 10_000
    training: int = 256
    fresh: int = 10_000
    soak: int = 140
    experiments: int = 500
    models: int = 2000
    versions: int = 3

    @classmethod
    def of(cls, runs: int, rows: int) -> Sizes:
        """Those for so many runs and rows; with fewer rows the long runs are shorter."""
        full = cls()
        long_steps, curve_points = min(full.long_steps, rows // 8), min(full.curve_points, rows // 800)
        return replace(full, runs=runs, rows=rows, long_steps=long_steps, curve_points=curve_points)

    @property
    def points(self) -> int:
        """Points of each metric of a searched run."""
        others = self.long_steps + self.history + self.curves * self.curve_points + self.training * TRAINING_KEYS
        return max(1, round((self.rows - others) / (self.runs * METRICS)))


class RunId:
    """The ids of runs, each kind's counted from 1. The texts are expressions of SQL over ``i``."""

    SEARCHED = "md5(i::text)"
    TRAINING = "md5('training' || i)"
    FRESH = "md5('fresh' || i)"
    SOAK = "md5('soak' || i)"
    CURVE = "md5('curve' || i)"
    HISTORY = "md5('history')"
    LONG = "md5('long')"


_EXPERIMENTS = """
    INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time,
                             workspace)
    SELECT i, CASE i WHEN 0 THEN 'Default' ELSE 'team-' || i %% 20 || '/project-' || i END, 'mlflow-artifacts:/' || i,
           'active', 1700000000000 + i, 1700000000000 + i * 7 %% 1009, 'default'
      FROM generate_series(0, %(experiments)s) i"""
_EXPERIMENT_TAGS = """
    INSERT INTO experiment_tags (key, value, experiment_id)
    SELECT 'tag_' || j, 'value ' || j, i FROM generate_series(0, %(experiments)s) i, generate_series(1, 3) j"""
_RUNS = """
    INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time,
                      end_time, source_version, lifecycle_stage, artifact_uri, experiment_id)
    SELECT {id}, 'run-' || i, 'UNKNOWN', '', '', 'bench', {status}, 1700000000000 + i * 1000,
           {end_time}, '', 'active', 'mlflow-artifacts:/{experiment}/' || {id} || '/artifacts', {experiment}
      FROM generate_series(1, {count}) i"""
_RUN_IDS = "SELECT {id} FROM generate_series(1, {count}) i ORDER BY i"
# A curve with other values for each run and key; the latest point is the last.
_VALUE = "abs(sin(i * 12.9898 + j * 78.233 + s * 0.01))"
_METRICS = """
    INSERT INTO {table} (key, value, timestamp, step, is_nan, run_uuid)
    SELECT {key}, {value}, 1700000000000 + i * 1000 + s * 10, s, false, {id}
      FROM generate_series(1, {count}) i, generate_series({first}, {points}) s, generate_series(1, {keys}) j"""
# A client logs a run's parameters together, so they lie together.
_PARAMS = """
    INSERT INTO params (key, value, run_uuid)
    SELECT 'param_' || j, 'v' || (i + j) % 10, {id} FROM generate_series(1, {count}) i, generate_series(1, {keys}) j
     ORDER BY i, j"""
_TAGS = """
    INSERT INTO tags (key, value, run_uuid)
    SELECT CASE j WHEN 1 THEN 'mlflow.runName' WHEN 2 THEN 'mlflow.user' WHEN 3 THEN 'mlflow.source.name'
                  WHEN 4 THEN 'mlflow.source.type' ELSE 'tag_' || j END,
           CASE j WHEN 1 THEN 'run-' || i WHEN 2 THEN 'bench' WHEN 3 THEN 'train.py' WHEN 4 THEN 'LOCAL'
                  ELSE 'value ' || (i + j) % 100 END, {id}
      FROM generate_series(1, {count}) i, generate_series(1, {keys}) j ORDER BY i, j"""
_REGISTRY = (
    """INSERT INTO registered_models (workspace, name, creation_time, last_updated_time, description)
       SELECT 'default', 'model-' || lpad(i::text, 5, '0'), 1700000000000 + i, 1700000000000 + i * 7919 %% 100003,
              'Predicts what ' || i || ' does next' FROM generate_series(1, %(models)s) i""",
    """INSERT INTO model_versions (workspace, name, version, creation_time, last_updated_time, description, user_id,
                                   current_stage, source, run_id, run_link, status, status_message)
       SELECT 'default', 'model-' || lpad(i::text, 5, '0'), j, 1700000000000 + i, 1700000000000 + i * 10 + j, '',
              'bench', 'None', 'mlflow-artifacts:/1/' || md5(i::text) || '/artifacts/model', md5(i::text), '', 'READY',
              NULL
         FROM generate_series(1, %(models)s) i, generate_series(1, %(versions)s) j""",
    """INSERT INTO registered_model_tags (workspace, name, key, value)
       SELECT 'default', 'model-' || lpad(i::text, 5, '0'), 'tag_' || j, 'value ' || j
         FROM generate_series(1, %(models)s) i, generate_series(1, 2) j""",
    """INSERT INTO model_version_tags (workspace, name, version, key, value)
       SELECT 'default', 'model-' || lpad(i::text, 5, '0'), j, 'validated', 'yes'
         FROM generate_series(1, %(models)s) i, generate_series(1, %(versions)s) j""",
    """INSERT INTO registered_model_aliases (workspace, name, alias, version)
       SELECT 'default', 'model-' || lpad(i::text, 5, '0'), 'champion', %(versions)s
         FROM generate_series(1, %(models)s) i""",
)


@dataclass(frozen=True, slots=True)
class _Family:
    """Runs of one kind, with as much of everything each."""

    id: str
    experiment: int
    count: int
    metrics: int = 0
    points: int = 1
    params: int = 0
    tags: int = 0
    key: str = "'metric_' || j"
    finished: bool = False


def _families(sizes: Sizes) -> tuple[_Family, ...]:
    return (
        _Family(RunId.SEARCHED, SEARCHED, sizes.runs, METRICS, sizes.points, PARAMS, TAGS, finished=True),
        _Family(RunId.TRAINING, TRAINING, sizes.training, TRAINING_KEYS, params=PARAMS, tags=TAGS),
        _Family(RunId.FRESH, FRESH, sizes.fresh, tags=4),
        # What mlflow-rs's own load leaves behind: short runs of three metrics.
        _Family(RunId.SOAK, SOAK, sizes.soak, 3, 20, 3, 4),
        _Family(RunId.CURVE, LONG, sizes.curves, 1, sizes.curve_points, tags=4, key="'loss'"),
        _Family(RunId.HISTORY, LONG, 1, 1, sizes.history, tags=4, key="'loss'"),
        _Family(RunId.LONG, LONG, 1, 1, sizes.long_steps, tags=4, key="'loss'"),
    )


def fill(uri: str, sizes: Sizes) -> None:
    """Fills an empty MLflow database. ``uri`` is a superuser's, because foreign keys are not checked row by row."""
    counts = {"experiments": sizes.experiments, "models": sizes.models, "versions": sizes.versions}
    with psycopg.connect(uri, autocommit=True) as connection:
        for setting, value in (
            ("session_replication_role", "replica"),
            ("synchronous_commit", "off"),
            ("maintenance_work_mem", "1GB"),
        ):
            connection.execute(sql.SQL("SET {} = {}").format(sql.Identifier(setting), sql.Literal(value)))
        for statement in (_EXPERIMENTS, _EXPERIMENT_TAGS, *_REGISTRY):
            connection.execute(statement, {name: counts[name] for name in counts if f"%({name})s" in statement})
        connection.execute("SELECT setval('experiments_experiment_id_seq', %s)", (sizes.experiments + 1,))
        with _index_afterwards(connection, "metrics"):
            for family in _families(sizes):
                _fill_family(connection, family)
        connection.execute("VACUUM (ANALYZE, FREEZE)")
        connection.execute("CHECKPOINT")


def _fill_family(connection: psycopg.Connection[Any], family: _Family) -> None:
    common = {"id": family.id, "count": str(family.count)}
    _run(
        connection,
        _RUNS,
        **common,
        experiment=str(family.experiment),
        status="'FINISHED'" if family.finished else "'RUNNING'",
        end_time="1700000500000 + i * 1000" if family.finished else "NULL",
    )
    if family.metrics:
        values = {"key": family.key, "keys": str(family.metrics), "points": str(family.points), "value": _VALUE}
        _run(connection, _METRICS, **common, **values, table="metrics", first="1")
        _run(connection, _METRICS, **common, **values, table="latest_metrics", first=str(family.points))
    for statement, keys in ((_PARAMS, family.params), (_TAGS, family.tags)):
        if keys:
            _run(connection, statement, **common, keys=str(keys))


def _run(connection: psycopg.Connection[Any], statement: str, **parts: str) -> psycopg.Cursor[Any]:
    """Runs a statement put together of this module's own texts."""
    return connection.execute(statement.format(**parts).encode())


@contextmanager
def _index_afterwards(connection: psycopg.Connection[Any], table: str) -> Iterator[None]:
    """Takes a table's primary key and indexes away while it is filled: sorting once is much quicker."""
    key = connection.execute(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'p'",
        (table,),
    ).fetchall()
    indexes = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = %s AND indexname <> %s",
        (table, key[0][0]),
    ).fetchall()
    for name, _ in key:
        connection.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(*map(sql.Identifier, (table, name))))
    for name, _ in indexes:
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    yield
    for name, definition in key:
        clause = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} ").format(*map(sql.Identifier, (table, name)))
        connection.execute(clause.as_bytes(connection) + definition.encode())
    for _, definition in indexes:
        connection.execute(definition.encode())


def run_ids(uri: str, expression: str, count: int) -> list[str]:
    """The ids of the first ``count`` runs of a kind (one of RunId's)."""
    with psycopg.connect(uri) as connection:
        found = _run(connection, _RUN_IDS, id=expression, count=str(count))
        return [row[0] for row in found.fetchall()]


def count_metrics(uri: str) -> int:
    """The number of rows in the table metrics."""
    with psycopg.connect(uri) as connection:
        row = connection.execute("SELECT count(*) FROM metrics").fetchone()
    assert row is not None
    return int(row[0])
