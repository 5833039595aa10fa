"""A program: writes items with 20 clients for ever, and prints each number once its write was answered."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys

from tracking_server.store.queries import Query
from tracking_server.store.sqlite import SqliteDatabase


async def main(path: str) -> None:
    database = await SqliteDatabase.open(path)
    create = Query.build("create", "CREATE TABLE item (id integer PRIMARY KEY)")
    insert = Query.build("insert", "INSERT INTO item VALUES ($1)")
    await database.write(lambda connection: connection.execute(create))
    numbers = itertools.count()

    async def client() -> None:
        for number in numbers:
            await database.write(lambda connection, number=number: connection.execute(insert, number))  # type: ignore[misc]  # no type for a lambda with a default
            os.write(1, b"%d\n" % number)

    await asyncio.gather(*(client() for _ in range(20)))


asyncio.run(main(sys.argv[1]))
