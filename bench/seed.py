"""Fills a database with runs of one experiment, by PostgreSQL itself."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

METRICS, PARAMS, TAGS = 30, 20, 10

_STATEMENTS = (
    """INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time,
                                last_update_time, workspace)
       VALUES (1, 'bench', 'mlflow-artifacts:/1', 'active', 1, 1, 'default')""",
    """INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time,
                         end_time, source_version, lifecycle_stage, artifact_uri, experiment_id)
       SELECT md5(i::text), 'run-' || i, 'UNKNOWN', '', '', 'bench', 'RUNNING', 1700000000000 + i, NULL, '', 'active',
              'mlflow-artifacts:/1/' || md5(i::text) || '/artifacts', 1
         FROM generate_series(1, %(runs)s) i""",
    """INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid)
       SELECT 'metric_' || j, random(), 1700000000000 + j, j, false, run_uuid
         FROM runs, generate_series(1, %(metrics)s) j""",
    """INSERT INTO metrics (key, value, timestamp, step, is_nan, run_uuid)
       SELECT key, value, timestamp, step, is_nan, run_uuid FROM latest_metrics""",
    """INSERT INTO params (key, value, run_uuid)
       SELECT 'param_' || j, 'value ' || j, run_uuid FROM runs, generate_series(1, %(params)s) j""",
    """INSERT INTO tags (key, value, run_uuid)
       SELECT 'tag_' || j, 'value ' || j, run_uuid FROM runs, generate_series(1, %(tags)s) j""",
    """INSERT INTO metrics (key, value, timestamp, step, is_nan, run_uuid)
       SELECT 'history', random(), 1700000000000 + i, i, false, md5('1') FROM generate_series(1, %(history)s) i""",
)


@dataclass(frozen=True, slots=True)
class Seed:
    """What the database holds: ``run_ids`` of the active experiment "1", the first with a metric ``history``."""

    run_ids: tuple[str, ...]
    history: int


def fill(uri: str, runs: int, history: int) -> Seed:
    """Fills an empty MLflow database with ``runs`` runs, one of them with ``history`` points of one metric."""
    counts = {"runs": runs, "metrics": METRICS, "params": PARAMS, "tags": TAGS, "history": history}
    with psycopg.connect(uri, autocommit=True) as connection:
        for statement in _STATEMENTS:
            connection.execute(statement, {name: counts[name] for name in counts if f"%({name})s" in statement})
        connection.execute("VACUUM ANALYZE")
        found = connection.execute("SELECT run_uuid FROM runs ORDER BY start_time LIMIT 64").fetchall()
    return Seed(tuple(row[0] for row in found), history)


def count_metrics(uri: str) -> int:
    """The number of rows in the table metrics."""
    with psycopg.connect(uri) as connection:
        row = connection.execute("SELECT count(*) FROM metrics").fetchone()
    assert row is not None
    return int(row[0])
