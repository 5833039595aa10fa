"""Which values both databases hold, and what becomes of those they refuse."""

from __future__ import annotations

import math

import pytest

from tracking_server.store.database import Database, DataViolation, Dialect, IntegrityViolation, StoreError
from tracking_server.store.queries import Query
from unit.store.conftest import INSERT, count, insert

INSERT_ALL = Query.build("insert_all", "INSERT INTO item (id, name, value, flag, parent) VALUES ($1, $2, $3, $4, $5)")
SELECT = Query.build("select", "SELECT id, name, value, flag FROM item WHERE id = $1")
ECHO = Query.build("echo", "SELECT CAST($1 AS text) AS said")

CONSTRAINTS = {
    "unique": ((2, "first", None, None, None), "item_name_key", "item.name"),
    "primary key": ((1, "second", None, None, None), "item_pkey", "item.id"),
    "check": ((2, "second", 1e9, None, None), "item_value_limit", "item_value_limit"),
    "not null": ((2, None, None, None, None), None, "item.name"),
    "foreign key": ((2, "second", None, None, 99), "item_parent_fkey", None),
}


@pytest.mark.parametrize("kind", CONSTRAINTS)
async def test_a_violated_constraint_is_named(store: Database, kind: str) -> None:
    await store.write(insert(1, "first"))
    values, on_postgresql, on_sqlite = CONSTRAINTS[kind]

    with pytest.raises(IntegrityViolation) as refused:
        await store.write(lambda connection: connection.execute(INSERT_ALL, *values))

    expected = on_postgresql if store.dialect is Dialect.POSTGRESQL else on_sqlite
    assert refused.value.constraint == expected
    assert await count(store) == 1


@pytest.mark.parametrize("bad", [2**63, -(2**63) - 1, 10**30], ids=["max+1", "min-1", "huge"])
async def test_an_integer_out_of_range_is_refused(store: Database, bad: int) -> None:
    with pytest.raises(DataViolation):
        await store.write(insert(bad, "name"))
    with pytest.raises(DataViolation):
        await store.write(lambda connection: connection.execute_many(INSERT, [(1, "good"), (bad, "bad")]))
    with pytest.raises(DataViolation):
        await store.fetch(SELECT, bad)

    assert await count(store) == 0


async def test_a_lone_surrogate_is_refused(store: Database) -> None:
    for work in (
        insert(1, "\ud800"),
        lambda connection: connection.execute_many(INSERT, [(1, "good"), (2, "\udfff")]),
    ):
        with pytest.raises(DataViolation):
            await store.write(work)

    assert await count(store) == 0


async def test_nul_is_refused_by_postgresql_and_kept_by_sqlite(store: Database) -> None:
    if store.dialect is Dialect.POSTGRESQL:
        with pytest.raises(DataViolation):
            await store.write(insert(1, "a\0b"))
        assert await count(store) == 0
    else:
        await store.write(insert(1, "a\0b"))
        row = await store.fetch_one(SELECT, 1)
        assert row is not None
        assert row["name"] == "a\0b"


async def test_text_too_long_is_refused_by_postgresql_and_kept_by_sqlite(store: Database) -> None:
    if store.dialect is Dialect.POSTGRESQL:
        with pytest.raises(DataViolation):
            await store.write(insert(1, "x" * 21))
        assert await count(store) == 0
    else:
        assert await store.write(insert(1, "x" * 21)) == 1


async def test_text_too_long_for_an_index_is_refused(store: Database) -> None:
    if store.dialect is Dialect.SQLITE:
        return
    wide = Query.build("wide", "CREATE TABLE wide (name text PRIMARY KEY)")
    fill = Query.build(
        "fill", "INSERT INTO wide SELECT string_agg(md5(n::text), '') FROM generate_series(1, $1::int) n"
    )
    await store.write(lambda connection: connection.execute(wide))

    with pytest.raises(DataViolation):
        await store.write(lambda connection: connection.execute(fill, 1000))


async def test_a_huge_text_is_held(store: Database) -> None:
    text = "ä€𝄞" * 4_000_000

    row = await store.fetch_one(ECHO, text)

    assert row is not None
    assert row["said"] == text


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 0])
@pytest.mark.parametrize("value", [0.1, 5e-324, -1.7976931348623157e308, -math.inf])
async def test_numbers_come_back_exactly(store: Database, number: int, value: float) -> None:
    await store.write(lambda connection: connection.execute(INSERT_ALL, number, "n", value, True, None))

    row = await store.fetch_one(SELECT, number)

    assert row is not None
    assert tuple(row) == (number, "n", value, True)


async def test_nan_is_null_in_sqlite(store: Database) -> None:
    query = Query.build("nan", "SELECT CAST($1 AS double precision) AS value")

    row = await store.fetch_one(query, math.nan)

    assert row is not None
    assert row["value"] is None if store.dialect is Dialect.SQLITE else math.isnan(row["value"])


async def test_a_list_is_one_argument(store: Database) -> None:
    await store.write(lambda connection: connection.execute_many(INSERT, [(1, "ä\"'\\"), (2, "b"), (3, "c")]))
    wanted = Query(
        "wanted",
        "SELECT id FROM item WHERE name = ANY($1::text[]) AND id = ANY($2::bigint[]) ORDER BY id",
        "SELECT id FROM item WHERE name IN (SELECT value FROM json_each(?1))"
        " AND id IN (SELECT value FROM json_each(?2)) ORDER BY id",
    )

    found = await store.fetch(wanted, ["ä\"'\\", "c", "nobody"], [1, 2, 3, 2**63 - 1])

    assert [row["id"] for row in found] == [1, 3]
    with pytest.raises(DataViolation):
        await store.fetch(wanted, ["a\0b"], [1])
    with pytest.raises(DataViolation):
        await store.fetch(wanted, ["\ud800"], [1])
    with pytest.raises(DataViolation):
        await store.fetch(wanted, ["a"], [2**63])


async def test_case_matters_to_like(store: Database) -> None:
    await store.write(insert(1, "Name"))
    like = Query.build("like", "SELECT id FROM item WHERE name LIKE $1")

    assert len(await store.fetch(like, "Na%")) == 1
    assert await store.fetch(like, "na%") == []


async def test_a_mistake_in_sql_is_a_plain_store_error(store: Database) -> None:
    with pytest.raises(StoreError) as refused:
        await store.fetch(Query.build("wrong", "SELECT nothing FROM nowhere"))

    assert type(refused.value) is StoreError
    assert await count(store) == 0
