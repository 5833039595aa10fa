"""PostgreSQL behind the store's contract, through asyncpg."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from tracking_server.errors import Unavailable
from tracking_server.store.database import Dialect, Row, Work
from tracking_server.store.postgres.hosts import Hosts
from tracking_server.store.postgres.pool import ConnectionPool, Lease, Raw
from tracking_server.store.postgres.translate import DRIVER_ERRORS, Conflict, ConnectionLost, ReadOnly, translate
from tracking_server.store.queries import Query

T = TypeVar("T")

_BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_CONFLICT_RETRIES = 5
_CONFLICT_PAUSE_SECONDS = 0.02
_LOST_PAUSE_SECONDS = 0.1
_SILENCE_SECONDS = 5.0
_CACHED_STATEMENTS = 500


@dataclass(frozen=True, slots=True)
class PostgresOptions:
    """Limits of one process's connections; times in seconds, a ``statement_timeout`` of 0 sets no limit.

    A connection idle for longer than ``trust_seconds`` is asked for a sign of life before it is used.
    ``transaction_pooling`` is for a PgBouncer in transaction mode: nothing is kept on a connection between
    transactions, at the price of prepared statements and of a transaction around single reads.
    """

    min_connections: int = 1
    max_connections: int = 10
    wait_seconds: float = 5.0
    connect_timeout: float = 3.0
    statement_timeout: float = 60.0
    trust_seconds: float = 30.0
    transaction_pooling: bool = False


class PostgresConnection:
    """One attempt at a piece of work on one asyncpg connection."""

    dialect = Dialect.POSTGRESQL

    def __init__(self, raw: Raw, statements: Counter[str]) -> None:
        self._raw = raw
        self._statements = statements

    async def fetch(self, query: Query, *arguments: object) -> Sequence[Row]:
        self._statements[query.name] += 1
        try:
            if query.planned_anew:
                # PostgreSQL forgets the plan of a statement without a name when it is given the next one.
                statement = await self._raw.prepare(query.postgresql, name="")
                return await statement.fetch(*arguments)
            return await self._raw.fetch(query.postgresql, *arguments)
        except DRIVER_ERRORS as error:
            raise self._translated(error) from error

    async def fetch_one(self, query: Query, *arguments: object) -> Row | None:
        self._statements[query.name] += 1
        try:
            return await self._raw.fetchrow(query.postgresql, *arguments)
        except DRIVER_ERRORS as error:
            raise self._translated(error) from error

    async def execute(self, query: Query, *arguments: object) -> int:
        self._statements[query.name] += 1
        try:
            status = await self._raw.execute(query.postgresql, *arguments)
        except DRIVER_ERRORS as error:
            raise self._translated(error) from error
        count = status.rpartition(" ")[2]
        return int(count) if count.isdecimal() else 0

    async def execute_many(self, query: Query, rows: Iterable[Sequence[object]]) -> None:
        self._statements[query.name] += 1
        try:
            await self._raw.executemany(query.postgresql, rows)
        except DRIVER_ERRORS as error:
            raise self._translated(error) from error

    async def control(self, statement: str) -> str:
        """Runs BEGIN, COMMIT or ROLLBACK; returns what the server says it did."""
        try:
            return await self._raw.execute(statement)
        except DRIVER_ERRORS as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> Exception:
        return translate(error, closed=self._raw.is_closed())


class PostgresDatabase:
    """A PostgreSQL database, or a cluster of them behind a multi-host URI."""

    dialect = Dialect.POSTGRESQL

    def __init__(self, pool: ConnectionPool, options: PostgresOptions) -> None:
        self._pool = pool
        self._options = options
        self._statements: Counter[str] = Counter()
        self._accepted = 0
        self._closing = False
        self._finished = asyncio.Event()

    @classmethod
    async def connect(
        cls, dsn: str, options: PostgresOptions | None = None, *, tls: ssl.SSLContext | None = None
    ) -> PostgresDatabase:
        """Opens the first connections to ``dsn``, a ``postgresql://`` URI as asyncpg takes it.

        ``tls`` overrides what the DSN says (``sslmode``, ``sslrootcert``, …). Raises CannotOpen when the server
        cannot be reached or refuses us.
        """
        options = options or PostgresOptions()
        arguments: dict[str, Any] = {"timeout": options.connect_timeout}
        if options.transaction_pooling:
            arguments["statement_cache_size"] = 0
            arguments["command_timeout"] = options.statement_timeout or None
        else:
            arguments["statement_cache_size"] = _CACHED_STATEMENTS
            if options.statement_timeout:
                # The server's own limit comes first; this one is for a server that is gone without a word.
                arguments["command_timeout"] = options.statement_timeout + _SILENCE_SECONDS
            # PgBouncer refuses connections with startup parameters that it does not know.
            arguments["server_settings"] = {
                "statement_timeout": str(int(options.statement_timeout * 1000)),
                # Queries that build JSON print floats; an older default would round them.
                "extra_float_digits": "1",
                # They make one search of 20,000 runs no quicker, and eight at a time slower: 20 a second, not 32.
                "max_parallel_workers_per_gather": "0",
            }
        if tls is not None:
            arguments["ssl"] = tls
        pool = ConnectionPool(
            Hosts(dsn, **arguments).connect,
            minimum=options.min_connections,
            maximum=options.max_connections,
            trust_seconds=options.trust_seconds,
        )
        await pool.start(asyncio.get_running_loop().time() + options.wait_seconds)
        return cls(pool, options)

    @property
    def statements(self) -> Counter[str]:
        return Counter(self._statements)

    async def fetch(self, query: Query, *arguments: object) -> Sequence[Row]:
        if self._options.transaction_pooling:
            return await self.read(lambda connection: connection.fetch(query, *arguments))
        return await self._attempt(lambda connection: connection.fetch(query, *arguments))

    async def fetch_one(self, query: Query, *arguments: object) -> Row | None:
        if self._options.transaction_pooling:
            return await self.read(lambda connection: connection.fetch_one(query, *arguments))
        return await self._attempt(lambda connection: connection.fetch_one(query, *arguments))

    async def write_statement(self, query: Query, *arguments: object) -> Sequence[Row]:
        if self._options.transaction_pooling:
            return await self.write(lambda connection: connection.fetch(query, *arguments))

        async def once(connection: PostgresConnection) -> Sequence[Row]:
            try:
                return await connection.fetch(query, *arguments)
            except ReadOnly as error:
                raise ConnectionLost(str(error)) from error

        return await self._attempt(once)

    async def read(self, work: Work[T]) -> T:
        async def once(connection: PostgresConnection) -> T:
            await connection.control(_BEGIN_READ)
            result = await work(connection)
            await connection.control("COMMIT")
            return result

        return await self._attempt(once)

    async def write(self, work: Work[T]) -> T:
        async def once(connection: PostgresConnection) -> T:
            await connection.control("BEGIN")
            try:
                result = await work(connection)
            except ReadOnly as error:
                # After a failover the old primary answers on, as a standby.
                raise ConnectionLost(str(error)) from error
            try:
                outcome = await connection.control("COMMIT")
            except ConnectionLost as error:
                raise Unavailable(
                    "The database went away during a commit; the write may or may not be stored"
                ) from error
            if outcome != "COMMIT":
                raise RuntimeError("a store function swallowed an error, so its transaction could not be committed")
            return result

        return await self._attempt(once)

    async def close(self) -> None:
        self._closing = True
        if self._accepted:
            await self._finished.wait()
        await self._pool.close()

    async def _attempt(self, once: Callable[[PostgresConnection], Awaitable[T]]) -> T:
        if self._closing:
            raise Unavailable("The server is shutting down")
        self._accepted += 1
        try:
            return await self._until_done(once)
        finally:
            self._accepted -= 1
            if self._closing and not self._accepted:
                self._finished.set()

    async def _until_done(self, once: Callable[[PostgresConnection], Awaitable[T]]) -> T:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._options.wait_seconds
        losses = conflicts = 0
        while True:
            lease = await self._pool.acquire(deadline)
            try:
                result = await once(PostgresConnection(lease.connection, self._statements))
            except ConnectionLost as error:
                self._pool.discard(lease)
                self._pool.discard_idle()
                losses += 1
                if loop.time() > deadline:
                    raise Unavailable("The database is not available") from error
                if losses > 1:
                    # A server that takes connections but no work must not be flooded with them.
                    await _pause(_LOST_PAUSE_SECONDS * losses)
            except Conflict as error:
                self._give_back(lease)
                conflicts += 1
                if conflicts > _CONFLICT_RETRIES:
                    raise Unavailable("The database is too busy with conflicting writes", retry_after=1) from error
                await _pause(_CONFLICT_PAUSE_SECONDS * 2**conflicts)
            except Exception:
                self._give_back(lease)
                raise
            except BaseException:
                # Cancelled, perhaps in the middle of a statement.
                self._pool.recover(lease)
                raise
            else:
                self._pool.release(lease)
                return result

    def _give_back(self, lease: Lease) -> None:
        """Returns the connection of work that failed; its transaction, if still open, is rolled back meanwhile."""
        if lease.connection.is_in_transaction():
            self._pool.recover(lease)
        else:
            self._pool.release(lease)


async def _pause(seconds: float) -> None:
    await asyncio.sleep(seconds * random.uniform(0.1, 1.0))  # noqa: S311 (jitter, not a secret)
