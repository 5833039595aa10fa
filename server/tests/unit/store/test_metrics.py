"""Metric histories against the functions of stock's store, on the same rows."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.entities.metric import Metric
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from support.databases import Databases
from support.fixtures import DIALECTS
from tracking_server.store import metrics
from tracking_server.store.database import Connection, Database
from tracking_server.store.postgres import PostgresDatabase
from tracking_server.store.queries import Query
from tracking_server.store.sqlite import SqliteDatabase

T = TypeVar("T")
Point = tuple[int, int, float, bool]
"""step, timestamp, value, is_nan"""

KEY = 'key "é"'
INSERT_RUN = Query.build("insert_run", "INSERT INTO runs (run_uuid, lifecycle_stage) VALUES ($1, 'active')")
INSERT_POINT = Query.build(
    "insert_point",
    "INSERT INTO metrics (run_uuid, key, step, timestamp, value, is_nan) VALUES ($1, $2, $3, $4, $5, $6)",
)


@dataclass
class Backend:
    """One database, seen by stock and by us."""

    stock: SqlAlchemyStore
    database: Database
    runner: asyncio.Runner
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def do(self, work: Awaitable[T]) -> T:
        async def wait() -> T:
            return await work

        return self.runner.run(wait())

    def new_run(self, points: Sequence[Point]) -> str:
        run_id = f"{next(self.numbers):032x}"

        async def insert(connection: Connection) -> None:
            await connection.execute(INSERT_RUN, run_id)
            await connection.execute_many(INSERT_POINT, [(run_id, KEY, *point) for point in points])

        self.do(self.database.write(insert))
        return run_id


@pytest.fixture(scope="module", params=DIALECTS)
def backend(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Backend]:
    uri = databases.create(request.param)
    stock = SqlAlchemyStore(uri, str(tmp_path_factory.mktemp("artifacts")))
    with asyncio.Runner() as runner:
        database: Database
        if request.param == "sqlite":
            database = runner.run(SqliteDatabase.open(Path(uri.removeprefix("sqlite:///"))))
        else:
            database = runner.run(PostgresDatabase.connect(uri))
        yield Backend(stock, database, runner)
        runner.run(database.close())
    stock._dispose_engine()
    databases.drop(uri)


def shown(found: Sequence[Metric]) -> list[tuple[object, ...]]:
    """Stock's points; NaN by a word, as it is not equal to itself."""
    return [(each.run_id, each.key, word(each.value), each.timestamp, each.step) for each in found]


def parsed(pieces: Sequence[bytes]) -> list[tuple[object, ...]]:
    """Our points."""
    values = json.loads(b"[" + b",".join(pieces) + b"]")
    return [(v.get("run_id"), v["key"], word(v["value"]), v["timestamp"], v["step"]) for v in values]


def word(value: float | str) -> float | str:
    if isinstance(value, str):
        return value
    assert isinstance(value, float)
    return "NaN" if math.isnan(value) else value


def points(most: int) -> st.SearchStrategy[list[Point]]:
    """Distinct points with many equal steps and timestamps, ordered by nothing."""
    values = st.tuples(st.sampled_from([-1.5, 0.0, 0.1, 1.0, 3e300, 1e15, 1e-7]), st.just(False)) | st.just((0.0, True))
    steps = st.integers(-3, 3) | st.integers(-200, 200) | st.sampled_from([-(2**63), 2**63 - 1])
    each = st.builds(lambda step, time, value: (step, time, *value), steps, st.integers(0, 3), values)
    return st.lists(each, max_size=most, unique=True)


@given(
    histories=st.lists(points(120), min_size=1, max_size=3),
    max_results=st.integers(1, 14),
    bounds=st.none() | st.tuples(st.integers(-210, 210), st.integers(-210, 210)).map(sorted),
)
@settings(max_examples=40, deadline=None)
def test_samples_are_those_of_stock(
    backend: Backend, histories: list[list[Point]], max_results: int, bounds: list[int] | None
) -> None:
    run_ids = [backend.new_run(history) for history in histories]
    run_ids = [*reversed(run_ids), run_ids[0], "f" * 32]
    first, last = bounds or (None, None)
    expected = backend.stock.get_metric_history_bulk_interval(run_ids, KEY, max_results, first, last)
    found = backend.do(metrics.samples(backend.database, run_ids, KEY, max_results, first, last))
    assert parsed(found) == shown(expected)


@given(histories=st.lists(points(40), min_size=1, max_size=3), limit=st.integers(1, 30))
@settings(max_examples=20, deadline=None)
def test_histories_are_those_of_stock(backend: Backend, histories: list[list[Point]], limit: int) -> None:
    """Without zeros: stock has no order of its own for a zero and a NaN at the same time and step."""
    kept = [[point for point in history if point[2] or point[3]] for history in histories]
    run_ids = [backend.new_run(history) for history in kept]
    expected = backend.stock.get_metric_history_bulk(run_ids, KEY, limit)
    assert parsed(backend.do(metrics.histories(backend.database, run_ids, KEY, limit))) == shown(expected)
    offset, token, more = 0, None, True
    while more:
        page = backend.stock.get_metric_history(run_ids[0], KEY, limit, token)
        found, more = backend.do(metrics.history(backend.database, run_ids[0], KEY, limit, offset))
        assert parsed(found) == shown(page)
        assert more == (page.token is not None)
        offset, token = offset + limit, page.token
    whole, more = backend.do(metrics.history(backend.database, run_ids[0], KEY, None, 0))
    assert (parsed(whole), more) == (shown(backend.stock.get_metric_history(run_ids[0], KEY)), False)


def test_pages_part_a_nan_from_a_zero(backend: Backend) -> None:
    run_id = backend.new_run([(0, 0, 0.0, True), (0, 0, 0.0, False)])
    pages = [backend.do(metrics.history(backend.database, run_id, KEY, 1, offset)) for offset in (0, 1)]
    assert [parsed(found)[0][2] for found, _ in pages] == [0.0, "NaN"]


def test_a_long_history_comes_in_pieces_and_by_one_statement(backend: Backend) -> None:
    run_ids = [backend.new_run([(step, 7, step / 7, False) for step in range(25_001)]) for _ in range(2)]
    before = backend.database.statements
    page, more = backend.do(metrics.history(backend.database, run_ids[0], KEY, 25_000, 0))
    assert (len(page), len(parsed(page)), more) == (3, 25_000, True)
    whole, more = backend.do(metrics.history(backend.database, run_ids[0], KEY, None, 0))
    assert (len(parsed(whole)), more) == (25_001, False)
    found = backend.do(metrics.histories(backend.database, run_ids, KEY, 25_000))
    assert len(parsed(found)) == 25_000
    sampled = backend.do(metrics.samples(backend.database, run_ids, KEY, 2_500))
    assert len(parsed(sampled)) == 5_000
    assert backend.database.statements - before == {"history": 2, "histories": 1, "samples": 1}
