"""What both drivers promise about transactions."""

from __future__ import annotations

import asyncio
from contextlib import closing

import pytest

from tracking_server.errors import Unavailable
from tracking_server.store.database import Connection, Database, Dialect, IntegrityViolation, StoreError, Work
from tracking_server.store.queries import Query
from unit.store.conftest import COUNT, INSERT, Place, count, insert

ADD_ONE = Query.build("add_one", "UPDATE item SET value = value + 1 WHERE id = $1")
INSERT_VALUED = Query.build("insert_valued", "INSERT INTO item (id, name, value) VALUES ($1, $2, $3)")


async def test_a_write_is_stored_when_it_is_answered(store: Database, place: Place) -> None:
    assert await store.write(insert(1)) == 1

    assert place.rows("SELECT id, name FROM item") == [(1, "item-1")]


async def test_failing_writes_take_nobody_with_them(store: Database, place: Place) -> None:
    async def insert_then_fail(connection: Connection) -> None:
        await connection.execute(INSERT, 1000, "half")
        raise LookupError("of the work's own")

    async def violate(connection: Connection) -> None:
        await connection.execute(INSERT, 1001, "half again")
        await connection.execute(INSERT, 1001, "again")

    works = [insert(0)]
    for number in range(1, 40):
        works += [insert(number), insert_then_fail, violate]  # type: ignore[list-item]  # results differ in type
    results = await asyncio.gather(*(store.write(work) for work in works), return_exceptions=True)

    assert results.count(1) == 40
    assert sum(isinstance(result, LookupError) for result in results) == 39
    assert sum(isinstance(result, IntegrityViolation) for result in results) == 39
    assert sorted(place.rows("SELECT id FROM item")) == [(number,) for number in range(40)]


async def test_work_that_swallows_an_error_is_not_stored(store: Database) -> None:
    await store.write(insert(1))

    async def swallow(connection: Connection) -> str:
        await connection.execute(INSERT, 2, "two")
        try:
            await connection.execute(INSERT, 1, "one")
        except IntegrityViolation:
            return "ignored"
        return "inserted"

    with pytest.raises(RuntimeError, match="swallowed"):
        await store.write(swallow)
    assert await count(store) == 1


async def test_200_concurrent_writers_of_one_row(store: Database, place: Place) -> None:
    await store.write(lambda connection: connection.execute(INSERT_VALUED, 1, "counter", 0.0))

    touched = await asyncio.gather(
        *(store.write(lambda connection: connection.execute(ADD_ONE, 1)) for _ in range(200))
    )

    assert touched == [1] * 200
    assert place.rows("SELECT value FROM item") == [(200.0,)]


async def test_writers_that_deadlock_all_succeed(store: Database, place: Place) -> None:
    """Two writers take two rows in opposite order: PostgreSQL ends one, which is run again."""
    await store.write(lambda connection: connection.execute_many(INSERT_VALUED, [(1, "one", 0.0), (2, "two", 0.0)]))
    starts: list[int] = []
    both_hold_one = asyncio.Barrier(2)

    def both(first: int, second: int) -> Work[None]:
        async def work(connection: Connection) -> None:
            starts.append(first)
            await connection.execute(ADD_ONE, first)
            if len(starts) <= 2 and place.dialect is Dialect.POSTGRESQL:  # SQLite's writers take turns
                await both_hold_one.wait()
            await connection.execute(ADD_ONE, second)

        return work

    await asyncio.gather(store.write(both(1, 2)), store.write(both(2, 1)))

    assert place.rows("SELECT value FROM item") == [(2.0,), (2.0,)]
    assert len(starts) == (3 if place.dialect is Dialect.POSTGRESQL else 2)


async def test_a_read_sees_one_snapshot(store: Database, place: Place) -> None:
    await store.write(insert(1))

    async def count_twice(connection: Connection) -> tuple[int, int]:
        before = await connection.fetch_one(COUNT)
        with closing(place.outside()) as outside:
            outside.execute("INSERT INTO item (id, name) VALUES (2, 'from outside')")
        after = await connection.fetch_one(COUNT)
        assert before is not None
        assert after is not None
        return before["n"], after["n"]

    assert await store.read(count_twice) == (1, 1)
    assert await count(store) == 2


async def test_a_read_cannot_write(store: Database) -> None:
    # SQLite answers as for a file that cannot be written.
    with pytest.raises(StoreError if store.dialect is Dialect.POSTGRESQL else Unavailable):
        await store.read(insert(1))

    assert await count(store) == 0


async def test_many_rows_in_one_call(store: Database) -> None:
    rows = [(number, f"item-{number}", number / 4) for number in range(500)]

    await store.write(lambda connection: connection.execute_many(INSERT_VALUED, rows))

    found = await store.fetch(Query.build("all", "SELECT id, name, value FROM item ORDER BY id"))
    assert [tuple(row) for row in found] == rows
    assert (found[3]["name"], found[3][2]) == ("item-3", 0.75)


async def test_rows_touched_are_counted(store: Database) -> None:
    await store.write(lambda connection: connection.execute_many(INSERT, [(1, "a"), (2, "b"), (3, "c")]))
    update = Query.build("update", "WITH wanted AS (SELECT 1 AS x) UPDATE item SET value = x FROM wanted WHERE id > $1")
    upsert = Query.build("upsert", "INSERT INTO item (id, name) VALUES ($1, $2) ON CONFLICT DO NOTHING")
    deletion = Query.build("delete", "DELETE FROM item WHERE id >= $1 RETURNING id")

    assert await store.write(lambda connection: connection.execute(update, 1)) == 2
    assert await store.write(lambda connection: connection.execute(upsert, 1, "again")) == 0
    assert [row["id"] for row in await store.write(lambda connection: connection.fetch(deletion, 3))] == [3]


async def test_statements_are_counted_by_name(store: Database) -> None:
    before = store.statements

    await store.write(insert(1))
    await store.read(lambda connection: connection.fetch(COUNT))
    await store.fetch_one(COUNT)

    assert store.statements - before == {"insert": 1, "count": 2}
