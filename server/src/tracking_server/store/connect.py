"""From the settings to an open database."""

from __future__ import annotations

from tracking_server.config import DatabaseSettings
from tracking_server.settings_database import DatabaseKind
from tracking_server.store.database import Database
from tracking_server.store.postgres import PostgresDatabase, PostgresOptions
from tracking_server.store.sqlite import SqliteDatabase, SqliteOptions


async def open_database(settings: DatabaseSettings) -> Database:
    """Opens the database that the settings name.

    Raises ValueError for a kind without a driver, and CannotOpen when the database cannot be opened.
    """
    if settings.kind is DatabaseKind.POSTGRESQL:
        postgres = PostgresOptions(
            min_connections=min(settings.pool_min, settings.pool_max),
            max_connections=settings.pool_max,
            wait_seconds=settings.wait_seconds,
            statement_timeout=settings.statement_timeout,
            transaction_pooling=settings.transaction_pooling,
        )
        return await PostgresDatabase.connect(settings.dsn_for_asyncpg(), postgres)
    if settings.kind is DatabaseKind.SQLITE:
        sqlite = SqliteOptions(wait_seconds=settings.wait_seconds, statement_timeout=settings.statement_timeout)
        return await SqliteDatabase.open(settings.sqlite_path(), sqlite)
    raise ValueError(f"{settings.uri.dialect} databases have no native driver")
