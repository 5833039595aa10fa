"""How PostgreSQL runs the hot statements on a large database: by indexes, never over whole tables."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable, Iterator

import psycopg
import pytest

from support.databases import Databases
from tracking_server.config import Config
from tracking_server.maintenance.database import indexes
from tracking_server.search.runs import runs_page
from tracking_server.settings_database import DatabaseUri
from tracking_server.store import experiments, metrics, run_reads
from tracking_server.store.connect import open_database
from tracking_server.store.database import Database, Dialect
from tracking_server.store.queries import Query
from tracking_server.store.run_log import LogEntry, RunLog, metric_row

_TABLES = (
    "runs",
    "metrics",
    "latest_metrics",
    "params",
    "tags",
    "inputs",
    "datasets",
    "experiments",
    "experiment_tags",
)
_FILL = (
    "INSERT INTO experiments (name, lifecycle_stage) SELECT 'e' || g, 'active' FROM generate_series(1, 2000) g",
    "INSERT INTO experiment_tags (key, value, experiment_id)"
    " SELECT 't' || j, 'v', experiment_id FROM experiments, generate_series(1, 5) j",
    "INSERT INTO runs (run_uuid, start_time, lifecycle_stage, experiment_id, source_type, status, artifact_uri)"
    " SELECT lpad(to_hex(g), 32, '0'), g, 'active', 1 + g % 50, 'LOCAL', 'FINISHED', repeat('x', 150)"
    " FROM generate_series(1, 10000) g",
    "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid)"
    " SELECT 'm' || j, j, 1, 1, false, run_uuid FROM runs, generate_series(1, 5) j",
    "INSERT INTO metrics (key, value, timestamp, step, is_nan, run_uuid)"
    " SELECT 'm' || j, j, 1, 1, false, run_uuid FROM runs, generate_series(1, 5) j",
    "INSERT INTO metrics (key, value, timestamp, step, is_nan, run_uuid)"
    " SELECT 'long', j, j, j, false, lpad('1', 32, '0') FROM generate_series(2, 20000) j",
    "INSERT INTO params (key, value, run_uuid) SELECT 'p' || j, 'v', run_uuid FROM runs, generate_series(1, 5) j",
    "INSERT INTO tags (key, value, run_uuid) SELECT 't' || j, 'v', run_uuid FROM runs, generate_series(1, 5) j",
    "INSERT INTO datasets (dataset_uuid, experiment_id, name, digest, dataset_source_type, dataset_source)"
    " SELECT 'd' || g, 1, 'd' || g, 'x', 's', 's' FROM generate_series(1, 3000) g",
    "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id)"
    " SELECT 'i' || g, 'DATASET', 'd' || g, 'RUN', lpad(to_hex(g), 32, '0') FROM generate_series(1, 3000) g",
)
# PostgreSQL's, in choose_custom_plan of backend/utils/cache/plancache.c.
_RUNS_BEFORE_PLANS_ARE_KEPT = 5
_RUN = f"{7:032x}"
_LONG_RUN = f"{1:032x}"


def _search(*order_by: str, filter_string: str | None = None) -> Callable[[Database], Awaitable[object]]:
    plan = runs_page(Dialect.POSTGRESQL, ["7"], 1, 20, filter_string, order_by, None)
    return lambda database: run_reads.search(database, plan)


_OPERATIONS: dict[str, Callable[[Database], Awaitable[object]]] = {
    "get run": lambda database: run_reads.get(database, _RUN),
    "search runs": _search(),
    "search runs as the UI does": _search("attributes.start_time DESC"),
    "search runs by values": _search("metrics.m2 DESC", filter_string="metrics.m1 > 0 AND params.p1 = 'v'"),
    "get experiment": lambda database: experiments.get(database, 7),
    "get experiment by name": lambda database: experiments.get_by_name(database, "e7"),
    "metric history": lambda database: metrics.history(database, _LONG_RUN, "long", None, 0),
    "metric histories": lambda database: metrics.histories(database, [_LONG_RUN, _RUN], "long", 1000),
    "metric samples": lambda database: metrics.samples(database, [_LONG_RUN, _RUN], "long", 300),
    "log metrics": lambda database: RunLog(database).log(
        LogEntry(_RUN, [metric_row(_RUN, f"m{number}", 1.0, 2, 2) for number in range(100)])
    ),
    "log params and tags": lambda database: RunLog(database).log(
        LogEntry(_RUN, params=[("new", "v")], tags=[("t1", "w")])
    ),
}


@pytest.fixture(scope="module")
def uri(databases: Databases) -> Iterator[str]:
    made = databases.postgresql()
    with psycopg.connect(made, autocommit=True) as connection:
        for statement in _FILL:
            connection.execute(statement.encode())
        for index in indexes.indexes_of(Dialect.POSTGRESQL):
            connection.execute(f"CREATE INDEX {index.definition}".encode())
        connection.execute("VACUUM ANALYZE")
    yield made
    databases.drop(made)


_OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


def _scanned_whole(uri: str) -> dict[str, int]:
    with psycopg.connect(uri, autocommit=True) as connection:
        # A session hands in its counts when it ends.
        while connection.execute(_OTHERS).fetchone() != (0,):
            time.sleep(0.01)
        rows = connection.execute(
            "SELECT relname, seq_scan FROM pg_stat_user_tables WHERE relname = ANY(%s)", (list(_TABLES),)
        ).fetchall()
    assert len(rows) == len(_TABLES)
    return dict(rows)


@pytest.mark.parametrize("operation", _OPERATIONS.values(), ids=list(_OPERATIONS))
async def test_no_table_is_read_whole(uri: str, operation: Callable[[Database], Awaitable[object]]) -> None:
    before = await asyncio.to_thread(_scanned_whole, uri)
    database = await open_database(dataclasses.replace(Config().database, uri=DatabaseUri.parse(uri)))
    for _ in range(_RUNS_BEFORE_PLANS_ARE_KEPT + 1):
        await operation(database)
    await database.close()
    assert await asyncio.to_thread(_scanned_whole, uri) == before


_KEPT_PLANS = Query.build(
    "kept_plans",
    "SELECT count(*) FROM pg_prepared_statements WHERE statement ~ 'FROM latest_metrics [m]' AND generic_plans > 0",
)


@pytest.mark.parametrize(("operation", "kept"), [("get run", 1), ("search runs", 1), ("search runs by values", 0)])
async def test_searches_by_values_are_planned_for_these_values(uri: str, operation: str, kept: int) -> None:
    database = await open_database(dataclasses.replace(Config().database, uri=DatabaseUri.parse(uri)))
    for _ in range(_RUNS_BEFORE_PLANS_ARE_KEPT + 1):
        await _OPERATIONS[operation](database)
    row = await database.fetch_one(_KEPT_PLANS)
    await database.close()
    assert row is not None
    assert row[0] == kept


def test_a_table_that_is_read_whole_is_noticed(uri: str) -> None:
    before = _scanned_whole(uri)
    with psycopg.connect(uri) as connection:
        connection.execute("SELECT max(artifact_uri) FROM runs")
    assert _scanned_whole(uri) == {**before, "runs": before["runs"] + 1}
