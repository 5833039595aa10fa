"""The database that is copied: kept from changing, and read table by table without ever holding one in memory."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from tracking_server.exit_codes import ExitCode
from tracking_server.maintenance.copy.engines import DRIVER_ERRORS, reason
from tracking_server.maintenance.copy.failures import CopyFailed, Refused
from tracking_server.maintenance.copy.tables import Kind, Table
from tracking_server.maintenance.copy.values import Row

_ROWS_AT_A_TIME = 2000
_LARGE_ROWS_AT_A_TIME = 50
_LOCK_SECONDS = 5


def read_rows(
    connection: sa.Connection, table: Table, after: Row | None = None, *, ordered: bool = False
) -> Iterator[Sequence[Row]]:
    """The table's rows as the driver gives them, in batches; ``ordered`` by key, and then only ``after`` a key."""
    # Columns without a type, so that SQLAlchemy changes nothing; PostgreSQL's driver would parse JSON.
    is_postgres = connection.dialect.name == "postgresql"
    columns = [
        sa.cast(sa.column(column.name), sa.Text) if is_postgres and column.kind is Kind.JSON else sa.column(column.name)
        for column in table.columns
    ]
    statement = sa.select(*columns).select_from(sa.table(table.name))
    if ordered:
        key: list[sa.ColumnElement[Any]] = [sa.column(name) for name in table.key]
        statement = statement.order_by(*key)
        if after is not None:
            statement = statement.where(sa.tuple_(*key) > sa.tuple_(*_key_values(connection, table, after)))
    size = _LARGE_ROWS_AT_A_TIME if any(column.is_unbounded for column in table.columns) else _ROWS_AT_A_TIME
    cursor = _cursor(connection, statement)
    try:
        while rows := cursor.fetchmany(size):
            yield rows
    finally:
        cursor.close()


def _cursor(connection: sa.Connection, statement: sa.Select[*tuple[Any, ...]]) -> Any:
    """A cursor that reads as it goes: the driver's own, because SQLAlchemy's rows take three times as long."""
    if not connection.in_transaction():
        connection.begin()
    compiled = statement.compile(dialect=connection.dialect)
    raw: Any = connection.connection.driver_connection
    match connection.dialect.name:
        case "sqlite":
            return raw.execute(str(compiled), [compiled.params[name] for name in compiled.positiontup or ()])
        case "postgresql":
            # With a name it is the server's.
            cursor = raw.cursor(name="tracking_server_copy")
            cursor.execute(str(compiled), compiled.params)
            return cursor
        case _:
            return connection.execute(statement, execution_options={"stream_results": True})


def _key_values(connection: sa.Connection, table: Table, after: Row) -> list[Any]:
    """A key that went through JSON, as the driver takes it."""
    kinds = [table.columns[position].kind for position in table.key_positions]
    has_dates = connection.dialect.name != "sqlite"
    return [
        datetime.date.fromisoformat(value) if kind is Kind.DATE and has_dates else value
        for kind, value in zip(kinds, after, strict=True)
    ]


class Source:
    """An open source. While it is open nobody else writes to it; ``name`` stands for it in messages."""

    def __init__(self, connection: sa.Connection, name: str) -> None:
        self._connection = connection
        self._dialect = connection.dialect.name
        self.name = name

    def rows(self, table: Table, after: Row | None = None, *, ordered: bool = False) -> Iterator[Sequence[Row]]:
        """As ``read_rows``. Raises CopyFailed."""
        try:
            yield from read_rows(self._connection, table, after, ordered=ordered)
        except (sa.exc.SQLAlchemyError, *DRIVER_ERRORS, UnicodeDecodeError) as error:
            raise CopyFailed(f"{self.name}, {table.name}: {reason(error)}") from error

    def last_of_sequence(self, table: Table) -> int:
        """What the sequence of the table has given out last; 0 where the source has none that tells."""
        column = next((column for column in table.columns if column.has_sequence), None)
        if column is None or self._dialect != "postgresql":
            return 0
        sequence = sequence_of(self._connection, table, column.name)
        state = sa.table(*sequence[1:], schema=sequence[0])
        row = self._connection.execute(sa.select(sa.text("is_called"), sa.text("last_value")).select_from(state)).one()
        return int(row[1]) if row[0] else 0

    def check_foreign_keys(self) -> None:
        """Raises Refused when rows name others that are not there, which only SQLite lets happen."""
        if self._dialect != "sqlite":
            return
        problems = [
            f"{table}: row {row} names a row of {parent} that does not exist"
            for table, row, parent, _ in self._connection.exec_driver_sql("PRAGMA foreign_key_check")
        ]
        if problems:
            raise Refused(f"{self.name} breaks foreign keys, which the target would not take; mend it first:", problems)


def sequence_of(connection: sa.Connection, table: Table, column: str) -> tuple[str, str]:
    """The schema and the name of the sequence behind a column of a PostgreSQL table."""
    statement = sa.text(
        "SELECT n.nspname, s.relname FROM pg_catalog.pg_class s"
        " JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace"
        " WHERE s.oid = pg_get_serial_sequence(quote_ident(:table), :column)::regclass"
    )
    row = connection.execute(statement, {"table": table.name, "column": column}).one()
    return str(row[0]), str(row[1])


@contextmanager
def open_source(engine: sa.Engine, name: str, tables: Sequence[Table]) -> Iterator[Source]:
    """Opens the source and keeps everybody from writing to it meanwhile. Raises CopyFailed when somebody is."""
    with kept_unchanged(engine, name, tables) as connection:
        yield Source(connection, name)


@contextmanager
def kept_unchanged(engine: sa.Engine, name: str, tables: Sequence[Table]) -> Iterator[sa.Connection]:
    """A connection in a transaction beside which nobody else writes; what is not committed is rolled back at the end.

    The database is called ``name`` in messages. Raises CopyFailed when somebody uses it.
    """
    with engine.connect() as connection:
        try:
            _keep_unchanged(connection, tables)
        except sa.exc.DBAPIError as error:
            raise CopyFailed(
                f"{name} is in use ({reason(error)}); stop what serves it, and try again", ExitCode.LOCKED
            ) from error
        try:
            yield connection
        finally:
            connection.rollback()


def _keep_unchanged(connection: sa.Connection, tables: Sequence[Table]) -> None:
    match connection.dialect.name:
        case "sqlite":
            take_sqlite_file(connection)
        case "postgresql":
            quote = connection.dialect.identifier_preparer.quote
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            names = ", ".join(quote(table.name) for table in tables)
            connection.exec_driver_sql(f"LOCK TABLE {names} IN SHARE MODE NOWAIT")
        case _:
            quote = connection.dialect.identifier_preparer.quote
            connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {_LOCK_SECONDS}")
            connection.exec_driver_sql("LOCK TABLES " + ", ".join(f"{quote(table.name)} READ" for table in tables))


def take_sqlite_file(connection: sa.Connection) -> None:
    """Begins a transaction on an SQLite file that nobody else may open until the connection is closed.

    In WAL mode it fails as long as any other process has the file open, though it may be idle.
    """
    connection.exec_driver_sql("PRAGMA locking_mode = EXCLUSIVE")
    connection.exec_driver_sql("BEGIN EXCLUSIVE")
