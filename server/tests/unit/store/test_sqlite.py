"""What only SQLite can get wrong: its file, its disk, its threads."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tracking_server.errors import Unavailable
from tracking_server.store.database import CannotOpen, Connection
from tracking_server.store.queries import Query
from tracking_server.store.sqlite import SqliteDatabase, SqliteOptions
from unit.store.conftest import CREATE, INSERT, count, insert

OTHER_WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
for number in range(1000, 1200):
    connection.execute("INSERT INTO item (id, name) VALUES (?, ?)", (number, str(number)))
"""


async def with_table(path: Path, wait_seconds: float = 10.0) -> SqliteDatabase:
    database = await SqliteDatabase.open(path, SqliteOptions(wait_seconds=wait_seconds))
    await database.write(lambda connection: connection.execute(CREATE))
    return database


async def test_opening_and_reading_leave_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()

    database = await SqliteDatabase.open(path)
    assert await database.fetch(Query.build("theirs", "SELECT x FROM theirs")) == []
    await database.close()

    assert path.read_bytes() == before
    assert names_in(tmp_path) == ["other.db"]


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("no database " * 1000)

    with pytest.raises(CannotOpen, match="not a database") as failed:
        await SqliteDatabase.open(path)
    assert not failed.value.may_pass


async def test_committed_means_on_disk(tmp_path: Path) -> None:
    database = await with_table(tmp_path / "a.db")
    pragmas = {}
    for name in ("journal_mode", "synchronous", "foreign_keys"):
        row = await database.write(lambda c, name=name: c.fetch_one(Query.build(name, f"PRAGMA {name}")))  # type: ignore[misc]  # no type for a lambda with a default
        assert row is not None
        pragmas[name] = row[0]
    await database.close()

    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


async def test_another_process_may_write_too(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    database = await with_table(path, wait_seconds=30)
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", OTHER_WRITER, str(path))
    for number in range(200):
        assert await database.write(insert(number)) == 1

    assert await other.wait() == 0
    assert await count(database) == 400
    await database.close()


async def test_the_first_writes_of_two_processes_may_coincide(tmp_path: Path) -> None:
    """Each switches the file to write-ahead logging, where SQLite refuses one of two without waiting."""
    for number in range(40):
        path = tmp_path / f"{number}.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(CREATE.sqlite)
        both = [await SqliteDatabase.open(path, SqliteOptions(readers=1, wait_seconds=10)) for _ in range(2)]
        await asyncio.gather(*(database.write(insert(turn)) for turn, database in enumerate(both)))
        assert await count(both[0]) == 2
        for database in both:
            await database.close()


async def test_a_full_disk_is_told_and_gets_over(tmp_path: Path) -> None:
    database = await with_table(tmp_path / "a.db")
    await database.write(insert(0))
    big = "x" * 1_000_000

    with files_limited_to(500_000):
        results = await asyncio.gather(
            *(database.write(insert(number, big + str(number))) for number in range(1, 5)), return_exceptions=True
        )

    assert [type(result) for result in results] == [Unavailable] * 4
    assert await count(database) == 1
    assert await database.write(insert(1)) == 1
    await database.close()


async def test_work_that_awaits_something_else_is_a_mistake_that_hurts_nobody_else(tmp_path: Path) -> None:
    database = await with_table(tmp_path / "a.db")

    async def sleeps(connection: Connection) -> None:
        await connection.execute(INSERT, 1, "one")
        await asyncio.sleep(1)

    first, mistaken, last = await asyncio.gather(
        database.write(insert(2)), database.write(sleeps), database.write(insert(3)), return_exceptions=True
    )

    assert (first, last) == (1, 1)
    assert isinstance(mistaken, RuntimeError)
    assert await count(database) == 2
    await database.close()


def test_a_killed_process_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    program = Path(__file__).with_name("acknowledging_writer.py")
    with subprocess.Popen([sys.executable, program, tmp_path / "a.db"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        acknowledged = {int(process.stdout.readline()) for _ in range(500)}
        process.kill()
        acknowledged |= {int(line) for line in process.stdout.read().splitlines(keepends=True) if line.endswith(b"\n")}

    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        stored = {number for (number,) in connection.execute("SELECT id FROM item")}
    assert acknowledged <= stored


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """No file may grow beyond ``size`` bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
