"""The PostgreSQL driver."""

from tracking_server.store.postgres.driver import PostgresDatabase, PostgresOptions

__all__ = ["PostgresDatabase", "PostgresOptions"]
