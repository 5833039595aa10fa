"""Connecting to the first of several PostgreSQL servers that answers and takes writes."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import asyncpg

from tracking_server.store.postgres.pool import Raw
from tracking_server.store.postgres.translate import DRIVER_ERRORS


class Hosts:
    """The hosts of a DSN, tried one by one from the last that worked.

    asyncpg tries several hosts itself, but with one time limit for all: a first host that does not answer at all
    would use it up.
    """

    def __init__(self, dsn: str, **arguments: Any) -> None:
        """``arguments`` are what ``asyncpg.connect`` takes besides the DSN."""
        self._dsns = _one_per_host(dsn)
        self._arguments = arguments
        if len(self._dsns) > 1 and "target_session_attrs" not in urlsplit(dsn).query:
            self._arguments["target_session_attrs"] = "read-write"
        self._preferred = 0

    async def connect(self) -> Raw:
        """A new connection. Raises the last host's error when none will do."""
        for index in range(self._preferred, self._preferred + len(self._dsns)):
            candidate = index % len(self._dsns)
            try:
                connection: Raw = await asyncpg.connect(self._dsns[candidate], **self._arguments)
            except DRIVER_ERRORS as error:
                last_error = error
            else:
                self._preferred = candidate
                return connection
        raise last_error


def _one_per_host(dsn: str) -> list[str]:
    parts = urlsplit(dsn)
    credentials, at, hosts = parts.netloc.rpartition("@")
    return [parts._replace(netloc=f"{credentials}{at}{host}").geturl() for host in hosts.split(",")]
