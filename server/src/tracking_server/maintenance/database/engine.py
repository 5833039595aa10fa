"""The engine that migrations run on. Loads SQLAlchemy, and no MLflow."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa


class UnknownRevision(Exception):
    """The database's revision is none of the installed MLflow's, or its tables are not MLflow's."""


class WrongSchema(Exception):
    """After the migrations the schema lacks tables or columns of MLflow's models."""


def make_engine(uri: str, *, begins: bool = True, sqlite_wait: float = 30.0) -> sa.Engine:
    """An engine without a pool, whose transactions hold DDL too, on SQLite as on PostgreSQL.

    Without ``begins``, transactions on SQLite begin only where the caller says so. An SQLite file that somebody else
    writes to is waited for ``sqlite_wait`` seconds.
    """
    url = sa.make_url(uri)
    arguments: dict[str, Any] = {}
    match url.get_backend_name():
        case "sqlite":
            arguments = {"isolation_level": None, "timeout": sqlite_wait}
        case "postgresql":
            # No prepared statements, which a pooler in transaction mode may not know.
            arguments = {"prepare_threshold": None}
            if "," in str(url.query.get("host", "")) and "target_session_attrs" not in url.query:
                arguments["target_session_attrs"] = "read-write"
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args=arguments)
    if begins and engine.dialect.name == "sqlite":

        @sa.event.listens_for(engine, "begin")
        def begin(connection: sa.Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
