"""The locks of an upgrade, held by the program that migrates: they end with it, however it ends.

Serving processes share a second lock (store/serving_lock.py), which an upgrade takes alone.
"""

from __future__ import annotations

import contextlib
import enum
import fcntl
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from tracking_server.store.lock_names import SERVING_KEY, UPGRADE_KEY, serving_lock_file, upgrade_lock_file

_HOLDERS = sa.text(
    "SELECT DISTINCT"
    " coalesce(nullif(a.application_name, ''), 'a session') || coalesce(' at ' || host(a.client_addr), '')"
    " FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a USING (pid)"
    " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.pid <> pg_backend_pid()"
    " AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())"
    " AND (l.classid::bigint << 32) | l.objid::bigint = :key"
)


class Locked(Exception):
    """Somebody else holds a lock; the message says who, as far as that is known."""


class LockWait(enum.Enum):
    """Whether to wait for another upgrade."""

    NONE = enum.auto()
    PATIENT = enum.auto()


@contextlib.contextmanager
def upgrade_lock(engine: sa.Engine, *, wait: LockWait, alone: bool) -> Iterator[None]:
    """Holds the database for one upgrade; ``alone`` also keeps servers from serving it. Raises Locked."""
    if engine.dialect.name == "sqlite":
        with _file_locks(Path(str(engine.url.database)), wait, alone):
            yield
        return
    # They end with a transaction, so that they also work behind a pooler in transaction mode.
    with engine.connect() as connection, connection.begin():
        if wait is LockWait.PATIENT:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": UPGRADE_KEY})
        elif not _try(connection, UPGRADE_KEY):
            raise Locked(f"another upgrade of this database is running ({_holders(connection, UPGRADE_KEY)})")
        if alone and not _try(connection, SERVING_KEY):
            raise Locked(f"servers serve this database ({_holders(connection, SERVING_KEY)}); stop them first")
        # As the last statement, because a SELECT's snapshot stays until the next one, and CONCURRENTLY waits for it.
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield


def _try(connection: sa.Connection, key: int) -> bool:
    return bool(connection.execute(sa.text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": key}).scalar())


def _holders(connection: sa.Connection, key: int) -> str:
    return ", ".join(sorted(connection.execute(_HOLDERS, {"key": key}).scalars())) or "a session"


@contextlib.contextmanager
def _file_locks(path: Path, wait: LockWait, alone: bool) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with upgrade_lock_file(path).open("w") as upgrading, serving_lock_file(path).open("w") as serving:
        try:
            fcntl.flock(upgrading, fcntl.LOCK_EX | (0 if wait is LockWait.PATIENT else fcntl.LOCK_NB))
        except BlockingIOError:
            raise Locked("another upgrade of this database is running") from None
        if alone:
            try:
                fcntl.flock(serving, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Locked("a server serves this database; stop it first") from None
        yield
