"""PostgreSQL going away and coming back, under the driver's feet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, closing
from urllib.parse import urlsplit

import psycopg
import pytest

from support.postgres import PostgresServer
from support.requirements import requires
from tracking_server.errors import Unavailable
from tracking_server.store.database import CannotOpen, Connection, Work
from tracking_server.store.postgres import PostgresDatabase, PostgresOptions
from tracking_server.store.queries import Query
from unit.store.conftest import CREATE, INSERT, Place, count, insert, postgres_place
from unit.store.proxy import Proxy


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """A PostgreSQL that these tests may kill."""
    server = PostgresServer(requires("postgresql"))
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.fixture
async def own_place(own_server: PostgresServer) -> Place:
    """A database with the table ``item`` on that server."""
    place = postgres_place(own_server)
    with closing(place.outside()) as connection:
        connection.execute(CREATE.postgresql)
    return place


@pytest.fixture
async def proxy(own_server: PostgresServer) -> AsyncIterator[Proxy]:
    proxy = Proxy(own_server.port)
    yield proxy
    await proxy.stop()


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def connect(stack: AsyncExitStack, dsn: str, *, connections: int = 5, wait: float = 5.0) -> PostgresDatabase:
    database = await PostgresDatabase.connect(
        dsn, PostgresOptions(max_connections=connections, wait_seconds=wait, statement_timeout=10)
    )
    stack.push_async_callback(database.close)
    return database


def through(dsn: str, *ports: int) -> str:
    """The DSN with its host replaced by these ports of 127.0.0.1."""
    parts = urlsplit(dsn)
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    return parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@{hosts}").geturl()


async def test_a_killed_server_loses_nothing_and_service_resumes(
    own_server: PostgresServer, own_place: Place, stack: AsyncExitStack
) -> None:
    database = await connect(stack, own_place.address, wait=0.5)
    acknowledged: list[int] = []
    refused: list[float] = []
    phase = "before"
    acknowledged_in: dict[str, int] = {"before": 0, "away": 0, "after": 0}
    numbers = iter(range(10_000_000))

    async def client() -> None:
        while phase != "end":
            number = next(numbers)
            begun, start = phase, time.monotonic()
            try:
                await database.write(insert(number))
            except Unavailable:
                refused.append(time.monotonic() - start)
            else:
                acknowledged.append(number)
                acknowledged_in[begun] += 1

    clients = [asyncio.ensure_future(client()) for _ in range(20)]
    await asyncio.sleep(1)
    phase = "away"
    await asyncio.to_thread(own_server.kill)
    await asyncio.sleep(2)
    await asyncio.to_thread(own_server.start)
    await asyncio.sleep(1)
    phase = "after"
    await asyncio.sleep(1)
    phase = "end"
    await asyncio.gather(*clients)

    stored = {number for (number,) in own_place.rows("SELECT id FROM item")}
    assert set(acknowledged) <= stored
    assert acknowledged_in["before"] > 20
    assert acknowledged_in["after"] > 20
    assert len(refused) > 20
    assert max(refused) < 2.5


async def test_a_short_outage_is_waited_out(
    own_server: PostgresServer, own_place: Place, stack: AsyncExitStack
) -> None:
    database = await connect(stack, own_place.address, wait=20)
    await asyncio.gather(*(count(database) for _ in range(20)))
    await asyncio.to_thread(own_server.kill)

    reads = [asyncio.ensure_future(count(database)) for _ in range(20)]
    writes = [asyncio.ensure_future(database.write(insert(number))) for number in range(20)]
    await asyncio.sleep(0.3)
    await asyncio.to_thread(own_server.start)

    assert len(await asyncio.gather(*reads)) == 20
    assert await asyncio.gather(*writes) == [1] * 20


async def test_connections_ended_by_the_server_are_replaced(own_place: Place, stack: AsyncExitStack) -> None:
    database = await connect(stack, own_place.address)
    await asyncio.gather(*(count(database) for _ in range(20)))

    own_place.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )

    assert await asyncio.gather(*(database.write(insert(number)) for number in range(20))) == [1] * 20


async def test_a_connection_lost_in_work_is_run_again(own_place: Place, proxy: Proxy, stack: AsyncExitStack) -> None:
    database = await connect(stack, through(own_place.address, await proxy.start()))
    runs: list[int] = []

    proxy.cut_at = b"the-name"
    assert await database.write(_counted(runs, 1, "the-name")) == 1

    assert (proxy.cuts, len(runs)) == (1, 2)
    assert await count(database) == 1


@pytest.mark.parametrize("arrives", [True, False], ids=["commit arrives", "commit is lost"])
async def test_a_connection_lost_in_commit_is_not_run_again(
    own_place: Place, proxy: Proxy, stack: AsyncExitStack, arrives: bool
) -> None:
    database = await connect(stack, through(own_place.address, await proxy.start()))
    runs: list[int] = []

    proxy.cut_at, proxy.deliver_cut = b"COMMIT", arrives
    with pytest.raises(Unavailable, match="may or may not"):
        await database.write(_counted(runs, 1, "name"))

    assert len(runs) == 1
    assert await database.write(insert(2)) == 1


async def test_a_server_gone_without_a_word_is_noticed(own_place: Place, proxy: Proxy, stack: AsyncExitStack) -> None:
    dsn = through(own_place.address, await proxy.start())
    database = await PostgresDatabase.connect(dsn, PostgresOptions(wait_seconds=5, trust_seconds=0.1))
    stack.push_async_callback(database.close)
    await asyncio.gather(*(count(database) for _ in range(20)))

    proxy.mute_all()
    await asyncio.sleep(0.2)

    assert await asyncio.gather(*(database.write(insert(number)) for number in range(20))) == [1] * 20


async def test_the_host_that_takes_writes_is_used(
    own_server: PostgresServer, postgres_server: PostgresServer, own_place: Place, stack: AsyncExitStack
) -> None:
    """Two independent servers stand in for a primary and its standby; one is made to refuse writes."""
    closed = Proxy(1)
    dead = await closed.start()
    await closed.stop()
    name = urlsplit(own_place.address).path[1:]
    own, other = Proxy(own_server.port), Proxy(postgres_server.port)
    other_admin = postgres_server.uri(name, "postgres")
    postgres_server.execute("CREATE DATABASE {}", name)
    stack.push_async_callback(own.stop)
    stack.push_async_callback(other.stop)
    with closing(psycopg.connect(other_admin, autocommit=True)) as admin:
        admin.execute(CREATE.postgresql)
        # One password for both: a cluster has one.
        admin.execute(f"ALTER ROLE mlflow PASSWORD '{urlsplit(own_place.address).password}'")
        admin.execute("GRANT ALL ON item TO mlflow")
    try:
        database = await connect(
            stack, through(own_place.address, dead, await own.start(), await other.start()), wait=10
        )
        await database.write(insert(1))

        own_server.execute("ALTER DATABASE {} SET default_transaction_read_only = on", name)
        own.cut_all()
        await database.write(insert(2))

        with closing(psycopg.connect(other_admin, autocommit=True)) as admin:
            assert admin.execute("SELECT id FROM item").fetchall() == [(2,)]
    finally:
        postgres_server.execute(f"ALTER ROLE mlflow PASSWORD '{postgres_server.password}'")
        postgres_server.drop_database(name)


async def test_a_server_turned_standby_is_left(
    own_server: PostgresServer, own_place: Place, stack: AsyncExitStack
) -> None:
    """The connections stay open, but refuse writes: requests wait and are told, and go on when it is over."""
    database = await connect(stack, own_place.address, wait=1)
    await database.write(insert(1))
    name = urlsplit(own_place.address).path[1:]
    own_server.execute("ALTER DATABASE {} SET default_transaction_read_only = on", name)
    stop = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    with pytest.raises(psycopg.OperationalError):
        own_place.rows(stop)

    start = time.monotonic()
    with pytest.raises(Unavailable):
        await database.write(insert(2))
    assert time.monotonic() - start < 3
    with pytest.raises(Unavailable):
        await database.write_statement(INSERT, 3, "alone")
    assert await count(database) == 1

    own_server.execute("ALTER DATABASE {} RESET default_transaction_read_only", name)
    assert await database.write(insert(2)) == 1


async def test_an_absent_server_fails_the_start_in_time(proxy: Proxy) -> None:
    port = await proxy.start()
    await proxy.stop()
    start = time.monotonic()

    with pytest.raises(CannotOpen, match="Connect call failed") as failed:
        await PostgresDatabase.connect(f"postgresql://x@127.0.0.1:{port}/x", PostgresOptions(wait_seconds=0.5))

    assert failed.value.may_pass
    assert 0.4 < time.monotonic() - start < 2


@pytest.mark.parametrize(("role", "database"), [("mlflow", "nowhere"), ("nobody", "postgres")])
async def test_a_server_that_refuses_us_fails_the_start_at_once(
    own_server: PostgresServer, role: str, database: str
) -> None:
    with pytest.raises(CannotOpen) as failed:
        await PostgresDatabase.connect(own_server.uri(database, role), PostgresOptions(wait_seconds=60))

    assert not failed.value.may_pass
    assert own_server.password not in str(failed.value)


async def test_transaction_pooling_keeps_nothing_between_transactions(own_place: Place, stack: AsyncExitStack) -> None:
    database = await PostgresDatabase.connect(own_place.address, PostgresOptions(transaction_pooling=True))
    stack.push_async_callback(database.close)

    await database.write(insert(1))
    await database.write_statement(INSERT, 2, "alone")

    assert await count(database) == 2
    left = Query.build("left", "SELECT count(*) FROM pg_prepared_statements WHERE name <> ''")
    assert await database.read(lambda connection: connection.fetch_one(left)) == (0,)


def _counted(runs: list[int], number: int, name: str) -> Work[int]:
    async def work(connection: Connection) -> int:
        runs.append(number)
        return await connection.execute(INSERT, number, name)

    return work
