"""One collection of a database at a time: an advisory lock in PostgreSQL, a lock on a file beside an SQLite file."""

from __future__ import annotations

import fcntl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from tracking_server.config import DatabaseKind, DatabaseSettings
from tracking_server.store.lock_names import COLLECTION_KEY, collection_lock_file


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
    from tracking_server.store.postgres.session import own_session

    async with own_session(settings, "gc") as connection:
        # It ends with a transaction, so that it also works behind a pooler in transaction mode.
        await connection.execute("BEGIN")
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        if not await connection.fetchval(f"SELECT pg_try_advisory_xact_lock({COLLECTION_KEY})"):
            raise AlreadyCollecting("another process collects this database")
        # Ends the last statement's snapshot: as long as it lasted, PostgreSQL would step over all that we delete.
        await connection.execute("SELECT 1")
        yield


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    with collection_lock_file(path).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyCollecting("another process collects this database") from None
        yield
