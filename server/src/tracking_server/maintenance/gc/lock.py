"""One collection of a database at a time: an advisory lock in PostgreSQL, a lock on a file beside an SQLite file."""

from __future__ import annotations

import fcntl
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from tracking_server.config import DatabaseKind, DatabaseSettings

COLLECTION_KEY = 0x6D6C666C6F79
"""PostgreSQL's advisory lock of whoever collects; store/serving_lock.py has the neighbours."""

_PATIENCE_SECONDS = 5.0


class AlreadyCollecting(Exception):
    """Another process collects the same database."""


@asynccontextmanager
async def collection_lock(settings: DatabaseSettings) -> AsyncIterator[None]:
    """Holds the lock; it ends with the process, however that ends. Raises AlreadyCollecting.

    Two collections at once would do no harm, only work for nothing: a connection that is lost meanwhile is no matter.
    """
    if settings.kind is DatabaseKind.SQLITE:
        with _file_lock(settings.sqlite_path()):
            yield
        return
    # Here, because it loads the driver.
    from tracking_server.store.postgres.hosts import Hosts

    name = f"tracking-server gc on {socket.gethostname()}"[:63]
    hosts = Hosts(
        settings.dsn_for_asyncpg(),
        timeout=_PATIENCE_SECONDS,
        command_timeout=_PATIENCE_SECONDS,
        statement_cache_size=0,
        server_settings={"application_name": name},
    )
    connection = await hosts.connect()
    try:
        # It ends with a transaction, so that it also works behind a pooler in transaction mode.
        await connection.execute("BEGIN")
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        if not await connection.fetchval(f"SELECT pg_try_advisory_xact_lock({COLLECTION_KEY})"):
            raise AlreadyCollecting("another process collects this database")
        # Ends the last statement's snapshot: as long as it lasted, PostgreSQL would step over all that we delete.
        await connection.execute("SELECT 1")
        yield
    finally:
        connection.terminate()


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    with path.with_name(f".{path.name}.gc-lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyCollecting("another process collects this database") from None
        yield
