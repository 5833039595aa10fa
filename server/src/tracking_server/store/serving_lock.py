"""The lock that every deployment shares while it serves a database, and that an upgrade takes alone.

PostgreSQL: an advisory lock on a connection of its own. SQLite: a lock on a file beside the database, because closing
the database file itself would drop SQLite's own locks on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from tracking_server.config import Config, DatabaseKind
from tracking_server.exit_codes import ExitCode, FatalError
from tracking_server.store.lock_names import SERVING_KEY, serving_lock_file

if TYPE_CHECKING:
    from tracking_server.store.postgres.pool import Raw

_POLL_SECONDS = 0.5
_RETRY_SECONDS = 1.0
_PING_SECONDS = 30.0

logger = logging.getLogger(__name__)


class ServingLock:
    """Holds the lock from ``run``'s start to its end; over a lost connection it is taken again as soon as possible."""

    def __init__(self, config: Config, on_upgraded: Callable[[], None]) -> None:
        """``on_upgraded`` is called when the database was upgraded while the connection was lost."""
        self._config = config
        self._on_upgraded = on_upgraded
        self._revision: str | None = None
        self.held = asyncio.Event()
        """Set while the lock is ours: nobody upgrades the database then, unless the operator said --online."""

    async def run(self) -> None:
        """Takes the lock, waiting for an upgrade that holds it, and keeps it until cancelled."""
        match self._config.database.kind:
            case DatabaseKind.POSTGRESQL:
                await self._keep_postgres()
            case DatabaseKind.SQLITE:
                await self._keep_file()
            case _:
                self.held.set()

    async def _keep_file(self) -> None:
        path = serving_lock_file(self._config.database.sqlite_path())
        told = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            opened = path.open("w")
        except OSError as error:
            raise FatalError(f"{path} cannot be locked: {error.strerror}", ExitCode.UNREACHABLE) from error
        with opened as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    told = _tell_once(told)
                    await asyncio.sleep(_POLL_SECONDS)
            self.held.set()
            await asyncio.Event().wait()

    async def _keep_postgres(self) -> None:
        # Here, because it loads the driver, which a server on SQLite does without.
        from tracking_server.store.postgres.translate import DRIVER_ERRORS

        while True:
            try:
                async with self._connection() as lost:
                    self.held.set()
                    await lost.wait()
            except DRIVER_ERRORS as error:
                logger.debug("the serving lock's connection: %s", error)
            self.held.clear()
            await asyncio.sleep(_RETRY_SECONDS)

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncio.Event]:
        """A connection that holds the lock; gives an event that is set when the connection is lost."""
        from tracking_server.store.postgres.session import own_session

        is_pooled = self._config.database.transaction_pooling
        async with own_session(self._config.database, "serve") as connection:
            lock = "pg_try_advisory_lock_shared"
            if is_pooled:
                # A pooler gives the server's connection to others after each transaction: this one does not end.
                lock = "pg_try_advisory_xact_lock_shared"
                await connection.execute("BEGIN")
            told = False
            while not await connection.fetchval(f"SELECT {lock}({SERVING_KEY})"):
                told = _tell_once(told)
                await asyncio.sleep(_POLL_SECONDS)
            revision = await connection.fetchval(
                "SELECT to_regclass('alembic_version')::text"
            ) and await connection.fetchval("SELECT min(version_num) FROM alembic_version")
            if is_pooled:
                # The last statement before a long rest, so that no SELECT's snapshot stays open.
                await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            if self._revision not in (None, revision):
                logger.warning("the database was upgraded while its connection was lost")
                self._on_upgraded()
            self._revision = revision
            lost = asyncio.Event()
            connection.add_termination_listener(lambda _: lost.set())
            pinging = asyncio.create_task(_ping(connection, lost))
            try:
                yield lost
            finally:
                pinging.cancel()
                await asyncio.gather(pinging, return_exceptions=True)


async def _ping(connection: Raw, lost: asyncio.Event) -> None:
    """Finds out about a connection that broke without a word."""
    from tracking_server.store.postgres.translate import DRIVER_ERRORS

    while True:
        await asyncio.sleep(_PING_SECONDS)
        try:
            await connection.execute("SELECT 1")
        except DRIVER_ERRORS:
            lost.set()
            return


def _tell_once(told: bool) -> bool:
    if not told:
        logger.warning("an upgrade of the database is running: the server waits for its end")
    return True
