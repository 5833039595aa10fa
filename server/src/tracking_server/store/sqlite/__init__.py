"""The SQLite driver."""

from tracking_server.store.sqlite.driver import SqliteDatabase, SqliteOptions

__all__ = ["SqliteDatabase", "SqliteOptions"]
