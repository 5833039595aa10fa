"""What becomes of requests that wait: they wait only so long, may be cancelled, and are not lost at shutdown."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing

import pytest

from tracking_server.errors import ErrorCode, MlflowError, Unavailable
from tracking_server.store.database import Database, Dialect
from tracking_server.store.queries import Query
from unit.store.conftest import COUNT, CREATE, Open, Place, count, insert

LOCK = {Dialect.SQLITE: "BEGIN IMMEDIATE", Dialect.POSTGRESQL: "BEGIN; LOCK TABLE item"}
ENDLESS = Query(
    "endless",
    "SELECT pg_sleep(3600)",
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
)


async def test_cancelling_a_waiting_write_hurts_nobody_else(store: Database, place: Place) -> None:
    with closing(place.outside()) as other:
        other.execute(LOCK[place.dialect])
        writes = [asyncio.ensure_future(store.write(insert(number))) for number in range(10)]
        await asyncio.sleep(0.2)
        for write in writes[::2]:
            write.cancel()
        await asyncio.sleep(0.1)
        other.execute("ROLLBACK")
        results = await asyncio.gather(*writes, return_exceptions=True)

    assert results[1::2] == [1] * 5
    assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
    stored = {number for (number,) in place.rows("SELECT id FROM item")}
    assert {1, 3, 5, 7, 9} <= stored
    # Nothing is leaked: as many as there are connections work at the same time, and a new write as well.
    assert await asyncio.gather(*(count(store) for _ in range(10))) == [len(stored)] * 10
    assert await store.write(insert(100)) == 1


async def test_a_cancelled_read_is_stopped(open_database: Open) -> None:
    database = await open_database(connections=1)
    read = asyncio.ensure_future(database.fetch(ENDLESS))
    await asyncio.sleep(0.2)

    read.cancel()
    with pytest.raises(asyncio.CancelledError):
        await read

    async with asyncio.timeout(5):
        assert await database.fetch_one(Query.build("one", "SELECT 1 AS one")) is not None


async def test_a_statement_may_take_only_so_long(open_database: Open) -> None:
    database = await open_database(connections=1, statement_timeout=0.3)

    with pytest.raises(MlflowError) as late:
        await database.read(lambda connection: connection.fetch(ENDLESS))

    assert late.value.code is ErrorCode.DEADLINE_EXCEEDED
    assert await database.fetch_one(Query.build("one", "SELECT 1 AS one")) is not None


async def test_waiting_for_a_busy_connection_is_bounded(open_database: Open) -> None:
    database = await open_database(connections=1, wait_seconds=0.5)
    busy = asyncio.ensure_future(database.fetch(ENDLESS))
    await asyncio.sleep(0.1)
    start = time.monotonic()
    late = [asyncio.ensure_future(database.fetch(Query.build("one", "SELECT 1 AS one"))) for _ in range(5)]

    results = await asyncio.gather(*late, return_exceptions=True)

    assert all(isinstance(result, Unavailable) and "busy" in result.message for result in results), results
    assert 0.4 < time.monotonic() - start < 2
    busy.cancel()


async def test_waiting_for_another_process_is_bounded(open_database: Open, place: Place) -> None:
    if place.dialect is Dialect.POSTGRESQL:
        return  # its locks are held per row, and a wait for one ends with the statement's time limit
    database = await open_database(wait_seconds=0.5)
    await database.write(lambda connection: connection.execute(CREATE))
    with closing(place.outside()) as other:
        other.execute(LOCK[place.dialect])
        start = time.monotonic()
        with pytest.raises(Unavailable, match="locked"):
            await database.write(insert(1))
        assert 0.4 < time.monotonic() - start < 2
        assert await count(database) == 0
        other.execute("ROLLBACK")

    assert await database.write(insert(1)) == 1


async def test_close_finishes_what_was_accepted(store: Database, place: Place) -> None:
    writes = [asyncio.ensure_future(store.write(insert(number))) for number in range(50)]
    await asyncio.sleep(0)

    await store.close()

    assert await asyncio.gather(*writes) == [1] * 50
    assert place.rows("SELECT count(*) FROM item") == [(50,)]
    with pytest.raises(Unavailable):
        await store.write(insert(100))
    with pytest.raises(Unavailable):
        await store.fetch(COUNT)
