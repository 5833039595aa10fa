"""Every value of every table arrives as it was, whatever the dialects."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from maintenance.copy.odd_rows import Pools, fill, pools, relocate_rows
from maintenance.copy.reading import differences, read_all
from maintenance.copy.running import copy_here, relocation_only
from support.databases import Databases, Dialect

_NEW = "s3://bucket/new"
# A copy takes seconds, so that shrinking an example would take hours.
_PLAIN = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    phases=(Phase.explicit, Phase.generate),
    max_examples=2,
)


@contextlib.contextmanager
def _new(databases: Databases, dialect: Dialect) -> Iterator[str]:
    uri = databases.create(dialect)
    try:
        yield uri
    finally:
        databases.drop(uri)


def _there_and_back(databases: Databases, folder: Path, values: Pools, seed: int) -> None:
    """SQLite → PostgreSQL with a new artifact root, then → PostgreSQL → SQLite → SQLite: all equal."""
    with (
        _new(databases, "sqlite") as source,
        _new(databases, "postgresql") as first,
        _new(databases, "postgresql") as second,
        _new(databases, "sqlite") as third,
        _new(databases, "sqlite") as fourth,
    ):
        fill(source, values, seed)
        expected = read_all(source)
        summary = copy_here(source, first, artifacts=relocation_only("/old/artifacts", _NEW, folder))
        assert differences(expected, read_all(source)) == []
        assert summary.rows == sum(map(len, expected.values())) - len(expected["alembic_version"])
        assert summary.tables == len(expected) - 1
        relocate_rows(expected, _NEW)
        assert differences(expected, read_all(first)) == []
        for left, right in ((first, second), (second, third), (third, fourth)):
            copy_here(left, right)
            assert differences(expected, read_all(right)) == []


@_PLAIN
@given(values=pools(), seed=st.integers(0, 2**32))
def test_all_tables_arrive_equal(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory, values: Pools, seed: int
) -> None:
    _there_and_back(databases, tmp_path_factory.mktemp("artifacts"), values, seed)


@pytest.mark.slow
@settings(_PLAIN, max_examples=60)
@given(values=pools(), seed=st.integers(0, 2**32))
def test_all_tables_arrive_equal_many_times(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory, values: Pools, seed: int
) -> None:
    _there_and_back(databases, tmp_path_factory.mktemp("artifacts"), values, seed)


def test_sequences_go_on_behind_the_highest_id_and_behind_what_was_given_out(databases: Databases) -> None:
    with _new(databases, "postgresql") as source, _new(databases, "postgresql") as target:
        with psycopg.connect(source) as connection:
            connection.execute(
                "INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (0, 'Default', 'active'),"
                " (nextval('experiments_experiment_id_seq'), 'one', 'active')"
            )
            # An experiment that gc has removed had the id 2.
            connection.execute("SELECT nextval('experiments_experiment_id_seq')")
            connection.execute(
                "INSERT INTO sql_trace_metric_daily_rollups"
                " (id, experiment_id, rollup_day, metric_name, grouping_set, sample_count)"
                " VALUES (7, 1, '2024-01-01', 'm', 'g', 1)"
            )
        copy_here(source, target)
        with psycopg.connect(target) as connection:
            following = (
                "INSERT INTO experiments (name, lifecycle_stage) VALUES ('next', 'active') RETURNING experiment_id"
            )
            assert connection.execute(following).fetchone() == (3,)
            assert connection.execute("SELECT nextval('sql_trace_metric_daily_rollups_id_seq')").fetchone() == (8,)
            assert connection.execute("SELECT nextval('sql_span_cost_daily_rollups_id_seq')").fetchone() == (1,)


def test_a_table_in_several_commits_holds_little_in_memory(databases: Databases) -> None:
    with _new(databases, "sqlite") as source, _new(databases, "postgresql") as target:
        with contextlib.closing(sqlite3.connect(source.removeprefix("sqlite:///"))) as connection:
            connection.execute("INSERT INTO runs (run_uuid, lifecycle_stage) VALUES ('r', 'active')")
            connection.execute("INSERT INTO experiments (experiment_id, name) VALUES (1, 'e')")
            connection.execute(
                "INSERT INTO trace_info (request_id, experiment_id, timestamp_ms, status) VALUES ('t', 1, 1, 'OK')"
            )
            connection.executemany(
                "INSERT INTO metrics (key, value, timestamp, step, run_uuid, is_nan) VALUES ('k', 0.5, ?, 0, 'r', 0)",
                ((number,) for number in range(120_000)),
            )
            connection.executemany(
                "INSERT INTO spans (trace_id, experiment_id, span_id, status, start_time_unix_nano, content)"
                " VALUES ('t', 1, ?, 'OK', 1, ?)",
                ((str(number), "ü" * 3_000_000) for number in range(30)),
            )
            connection.commit()
        assert copy_here(source, target).rows == 120_034  # and the default workspace
        with psycopg.connect(target) as connection:
            spans = "SELECT count(*), min(content) = max(content), max(length(content)) FROM spans"
            assert connection.execute(spans).fetchone() == (30, True, 3_000_000)
            metrics = "SELECT count(DISTINCT timestamp), sum(value) FROM metrics"
            assert connection.execute(metrics).fetchone() == (120_000, 60_000.0)
