"""The engine that migrations run on. Loads SQLAlchemy, and no MLflow."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa


class UnknownRevision(Exception):
    """The database's revision is none of the installed MLflow's, or its tables are not MLflow's."""


class WrongSchema(Exception):
    """After the migrations the schema lacks tables or columns of MLflow's models."""


def make_engine(uri: str) -> sa.Engine:
    """An engine whose transactions hold DDL too, on SQLite as on PostgreSQL."""
    url = sa.make_url(uri)
    if url.get_backend_name() != "sqlite":
        # No prepared statements, which a pooler in transaction mode may not know.
        return sa.create_engine(url, poolclass=sa.NullPool, connect_args={"prepare_threshold": None})
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"timeout": 30})

    @sa.event.listens_for(engine, "connect")
    def leave_transactions_to_us(connection: Any, record: object) -> None:
        connection.isolation_level = None

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
