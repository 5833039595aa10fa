"""A PostgreSQL session of one job's own, outside the pool: for locks, and for what no transaction may hold."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tracking_server.config import DatabaseSettings
from tracking_server.store.postgres.hosts import Hosts
from tracking_server.store.postgres.pool import Raw

_PATIENCE_SECONDS = 5.0
# PostgreSQL cuts longer names.
_LONGEST_NAME = 63


@asynccontextmanager
async def own_session(
    settings: DatabaseSettings, job: str, *, statement_seconds: float | None = _PATIENCE_SECONDS
) -> AsyncIterator[Raw]:
    """Connects under the name ``tracking-server JOB on HOST``, which tells others who holds a lock.

    A statement may take ``statement_seconds`` (None: any time). Raises one of DRIVER_ERRORS (translate.py).
    """
    name = f"tracking-server {job} on {socket.gethostname()}"[:_LONGEST_NAME]
    hosts = Hosts(
        settings.dsn_for_asyncpg(),
        timeout=_PATIENCE_SECONDS,
        command_timeout=statement_seconds,
        # What is prepared does not last behind a pooler in transaction mode.
        statement_cache_size=0,
        server_settings={"application_name": name},
    )
    connection = await hosts.connect()
    try:
        yield connection
    finally:
        # Ends the session at once, and its locks with it.
        connection.terminate()
