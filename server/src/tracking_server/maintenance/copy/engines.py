"""SQLAlchemy engines for both sides, and what state their schema is in."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import sqlalchemy as sa

from tracking_server.exit_codes import ExitCode
from tracking_server.maintenance.copy.failures import CopyFailed
from tracking_server.maintenance.copy.tables import PROGRESS_TABLE, VERSION_TABLE
from tracking_server.maintenance.database.engine import make_engine
from tracking_server.maintenance.database.locks import Locked, LockWait, upgrade_lock
from tracking_server.settings_database import DatabaseUri
from tracking_server.store.schema import FOREIGN_TABLES, Schema, SchemaState, classify, installed_revisions

_SQLITE_WAIT_SECONDS = 5.0

DRIVER_ERRORS = (sqlite3.Error, psycopg.Error)
"""What drivers raise where SQLAlchemy does not stand between."""


def open_engine(uri: DatabaseUri) -> sa.Engine:
    """An engine whose transactions on SQLite begin only where we say so. Raises CopyFailed for what is no database."""
    try:
        return make_engine(uri.for_sqlalchemy(), begins=False, sqlite_wait=_SQLITE_WAIT_SECONDS)
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ModuleNotFoundError) as error:
        raise CopyFailed(f"{uri.masked()} cannot be read: {error}", ExitCode.BAD_CONFIGURATION) from error


def look(engine: sa.Engine, name: str) -> Schema:
    """The state of the schema; the database is called ``name`` in messages. Raises CopyFailed when it is away."""
    try:
        tables = set(sa.inspect(engine).get_table_names())
        found: list[str] = []
        if VERSION_TABLE in tables:
            with engine.connect() as connection:
                version = sa.select(sa.column("version_num", sa.String)).select_from(sa.table(VERSION_TABLE))
                found = list(connection.execute(version).scalars())
    except (sa.exc.SQLAlchemyError, sqlite3.Error) as error:
        raise CopyFailed(f"{name} cannot be read: {reason(error)}", ExitCode.UNREACHABLE) from error
    return classify(tables - {PROGRESS_TABLE}, found, installed_revisions())


@contextmanager
def locked(engine: sa.Engine, name: str, whose: str) -> Iterator[None]:
    """Keeps servers, upgrades and other copies away from a database. Raises CopyFailed when one of them uses it.

    Stock MLflow's servers take no part in these locks.
    """
    if engine.dialect.name not in ("postgresql", "sqlite"):
        yield
        return
    try:
        with upgrade_lock(engine, wait=LockWait.NONE, alone=True):
            yield
    except Locked as error:
        raise CopyFailed(f"the {whose}, {name}: {error}", ExitCode.LOCKED) from error


def require_head(schema: Schema, name: str, whose: str) -> None:
    """Raises CopyFailed, with what to do, unless the database ``name`` has the installed MLflow's schema."""
    if schema.state in (SchemaState.TESTED, SchemaState.UNKNOWN) and schema.revision == schema.installed_head:
        return
    match schema.state:
        case SchemaState.EMPTY:
            raise CopyFailed(f"the {whose}, {name}, is empty", ExitCode.DATABASE_EMPTY)
        case SchemaState.BEHIND:
            raise CopyFailed(
                f"the {whose}, {name}, has the schema {schema.revision}, which is older than the installed MLflow's"
                f" {schema.installed_head}; back it up and run `tracking-server db upgrade` on it first",
                ExitCode.SCHEMA_BEHIND,
            )
        case SchemaState.NOT_MLFLOW:
            raise CopyFailed(f"the {whose}, {name}, {FOREIGN_TABLES}", ExitCode.NOT_MLFLOW)
        case _:
            raise CopyFailed(
                f"the {whose}, {name}, has the schema {schema.revision}, which the installed MLflow (its head is"
                f" {schema.installed_head}) does not know; copy with the release that made it",
                ExitCode.SCHEMA_AHEAD,
            )


def reason(error: Exception) -> str:
    """What a driver says, in one line and without SQL or parameters, which may hold what is secret."""
    original = getattr(error, "orig", None) or error
    return str(original).strip().partition("\n")[0] or type(original).__name__
