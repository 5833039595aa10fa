"""The database that is copied into.

As long as its copy is unfinished it has no revision, so that no server, ours or stock's, accepts it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import sqlalchemy as sa

from tracking_server.exit_codes import ExitCode
from tracking_server.maintenance.copy.engines import DRIVER_ERRORS, reason
from tracking_server.maintenance.copy.failures import CopyFailed
from tracking_server.maintenance.copy.record import Done, Record, has_record
from tracking_server.maintenance.copy.source import read_rows, sequence_of, take_sqlite_file
from tracking_server.maintenance.copy.tables import VERSION_TABLE, Column, Kind, Table
from tracking_server.maintenance.copy.values import Row

_ROWS_PER_COMMIT = 50_000
_BYTES_PER_COMMIT = 32 * 1024 * 1024

_VERSION = sa.table(VERSION_TABLE, sa.column("version_num"))
# What MLflow puts into a new database, as the condition that its rows meet.
_FRESH: dict[str, sa.ColumnElement[bool]] = {
    "experiments": sa.column("experiment_id", sa.Integer) == 0,
    "workspaces": sa.column("name", sa.String) == "default",
    # What a server leaves that only just started.
    "scheduler_leases": sa.true(),
}


class Commit:
    """The rows of one commit, taken one by one; afterwards the last raw row, and how many there were."""

    def __init__(self, batches: Iterator[tuple[Sequence[Row], Sequence[Row]]], large: Sequence[int]) -> None:
        self._batches = batches
        self._large = large
        self.last: Row | None = None
        self.count = 0
        self.is_final = False

    def __iter__(self) -> Iterator[Row]:
        weight = 0
        for raw, rows in self._batches:
            yield from rows
            self.last = raw[-1]
            self.count += len(rows)
            weight += sum(len(row[index] or "") for row in rows for index in self._large)
            if self.count >= _ROWS_PER_COMMIT or weight >= _BYTES_PER_COMMIT:
                return
        self.is_final = True


class Target(ABC):
    """A target of one dialect. ``name`` stands for it in messages."""

    def __init__(self, connection: sa.Connection, name: str, tables: Sequence[Table]) -> None:
        self._connection = connection
        self._record = Record(connection)
        self._tables = tables
        self.name = name

    @property
    def dialect(self) -> str:
        return self._connection.dialect.name

    def is_begun(self) -> bool:
        """Whether a copy into it was begun and not ended."""
        return has_record(self._connection)

    def is_fresh(self) -> bool:
        """Whether it holds no more than what MLflow puts into a new database."""
        for table in self._tables:
            usual = _FRESH.get(table.name)
            found = sa.select(sa.literal(1)).select_from(sa.table(table.name)).limit(1)
            if self._connection.execute(found if usual is None else found.where(sa.not_(usual))).first() is not None:
                return False
        return True

    def begin(self, identity: Mapping[str, str]) -> dict[str, Done]:
        """Begins a copy in a fresh target, or goes on with one: how far each table has come.

        Raises CopyFailed when the copy begun here was of another source (``identity`` differs).
        """
        with self._transaction():
            if self.is_begun():
                return self._record.resume(identity, self.name)
            for name in _FRESH:
                self._connection.execute(sa.delete(sa.table(name)))
            self._connection.execute(sa.delete(_VERSION))
            self._record.create(identity, self._tables)
        return {}

    def restart(self, identity: Mapping[str, str]) -> None:
        """Empties the target of what an unfinished copy has left, and begins again."""
        with self._transaction():
            for table in reversed(self._tables):
                self._connection.execute(sa.delete(sa.table(table.name)))
            self._record.drop()
            self._record.create(identity, self._tables)

    def load(self, table: Table, batches: Iterable[tuple[Sequence[Row], Sequence[Row]]]) -> Iterator[int]:
        """Writes rows in the order of their keys: batches of rows as the source has them, and as they are written.

        Yields the number of rows of each commit; what was committed is not written again after a kill.
        """
        rest = iter(batches)
        large = [index for index, column in enumerate(table.columns) if column.is_unbounded]
        whole = False
        while not whole:
            commit = Commit(rest, large)
            with self._transaction(table):
                self._write(table, commit)
                whole = commit.is_final
                key = None if commit.last is None else [commit.last[position] for position in table.key_positions]
                self._record.note(table, key, whole)
            yield commit.count

    def rows(self, table: Table) -> Iterator[Sequence[Row]]:
        """The rows that were written, as the driver gives them, in batches."""
        yield from read_rows(self._connection, table)
        # What follows may take hours, in which no transaction is to stay open.
        self._connection.rollback()

    def finish(self, revision: str, sequences: Mapping[str, int]) -> None:
        """Sets sequences and makes the target a database that servers accept, at once.

        ``sequences`` gives by table what the source's sequence gave out last.
        """
        with self._transaction():
            for table in self._tables:
                for column in table.columns:
                    if column.has_sequence:
                        self._set_sequence(table, column, sequences[table.name])
            self._record.drop()
            self._connection.execute(sa.insert(_VERSION).values(version_num=revision))
        self._tidy()

    @abstractmethod
    def check_foreign_keys(self) -> None:
        """Raises CopyFailed when a row names another that is not there."""

    @abstractmethod
    def _transaction(self, table: Table | None = None) -> AbstractContextManager[None]:
        """A transaction around writes, to ``table`` if any. Raises CopyFailed for what the database refuses."""

    @abstractmethod
    def _write(self, table: Table, rows: Commit) -> None: ...

    @abstractmethod
    def _set_sequence(self, table: Table, column: Column, last: int) -> None: ...

    @abstractmethod
    def _tidy(self) -> None:
        """Prepares the database for its first requests."""

    def _refusal(self, table: Table | None, error: Exception) -> CopyFailed:
        where = f"{self.name}, {table.name}" if table else self.name
        context = getattr(getattr(error, "diag", None), "context", None)
        return CopyFailed(f"{where}: {reason(error)}" + (f" ({context})" if context else ""))


class PostgresTarget(Target):
    """PostgreSQL through psycopg's binary COPY, with its constraints on."""

    _TYPES = {
        Kind.BOOLEAN: "bool",
        Kind.FLOAT: "float8",
        Kind.TEXT: "text",
        # On the wire JSON is its text.
        Kind.JSON: "text",
        Kind.BYTES: "bytea",
        Kind.DATE: "date",
    }

    def check_foreign_keys(self) -> None:
        """PostgreSQL has checked each as it was written."""

    @contextmanager
    def _transaction(self, table: Table | None = None) -> Iterator[None]:
        try:
            # Ends the transaction that a read before has begun.
            self._connection.rollback()
            with self._connection.begin():
                yield
        except (*DRIVER_ERRORS, sa.exc.DBAPIError) as error:
            raise self._refusal(table, error) from error

    def _write(self, table: Table, rows: Commit) -> None:
        quote = self._connection.dialect.identifier_preparer.quote
        names = ", ".join(quote(column.name) for column in table.columns)
        raw: Any = self._connection.connection.driver_connection
        with (
            raw.cursor() as cursor,
            cursor.copy(f"COPY {quote(table.name)} ({names}) FROM STDIN (FORMAT BINARY)") as copy,
        ):
            copy.set_types([self._type(column) for column in table.columns])
            for row in rows:
                copy.write_row(row)

    def _type(self, column: Column) -> str:
        if column.kind is Kind.INTEGER:
            return "int4" if column.is_small else "int8"
        return self._TYPES[column.kind]

    def _set_sequence(self, table: Table, column: Column, last: int) -> None:
        present = sa.select(sa.func.max(sa.column(column.name, sa.BigInteger))).select_from(sa.table(table.name))
        last = max(last, self._connection.execute(present).scalar() or 0)
        schema, name = sequence_of(self._connection, table, column.name)
        quote = self._connection.dialect.identifier_preparer.quote
        statement = sa.text("SELECT setval(CAST(:name AS regclass), :value, :called)")
        values = {"name": f"{quote(schema)}.{quote(name)}", "value": max(last, 1), "called": last > 0}
        self._connection.execute(statement, values)

    def _tidy(self) -> None:
        with self._transaction():
            quote = self._connection.dialect.identifier_preparer.quote
            self._connection.exec_driver_sql("ANALYZE " + ", ".join(quote(table.name) for table in self._tables))


class SqliteTarget(Target):
    """An SQLite file that nobody else has open."""

    def check_foreign_keys(self) -> None:
        # It reads foreign keys only when asked.
        broken = self._connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if broken is not None:
            raise CopyFailed(f"{self.name}: row {broken[1]} of {broken[0]} names a row that is missing")

    @contextmanager
    def _transaction(self, table: Table | None = None) -> Iterator[None]:
        try:
            self._connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield
            self._connection.commit()
        except (*DRIVER_ERRORS, sa.exc.DBAPIError) as error:
            raise self._refusal(table, error) from error
        finally:
            self._connection.rollback()

    def _write(self, table: Table, rows: Commit) -> None:
        insert = sa.insert(sa.table(table.name, *(sa.column(column.name) for column in table.columns)))
        dates = [index for index, column in enumerate(table.columns) if column.kind is Kind.DATE]
        written = (_with_text_dates(row, dates) for row in rows) if dates else rows
        raw: Any = self._connection.connection.driver_connection
        raw.executemany(str(insert.compile(dialect=self._connection.dialect)), written)

    def _set_sequence(self, table: Table, column: Column, last: int) -> None:
        raise AssertionError("SQLite has no sequences")

    def _tidy(self) -> None:
        """SQLite plans well without statistics on these tables."""


@contextmanager
def open_target(engine: sa.Engine, name: str, tables: Sequence[Table]) -> Iterator[Target]:
    """Opens the target for us alone. Raises CopyFailed when somebody else uses it."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            try:
                take_sqlite_file(connection)
            except sa.exc.DBAPIError as error:
                raise CopyFailed(f"{name} is in use ({reason(error)}); stop what serves it", ExitCode.LOCKED) from error
            connection.rollback()
            yield SqliteTarget(connection, name, tables)
        else:
            yield PostgresTarget(connection, name, tables)


def _with_text_dates(row: Row, dates: Sequence[int]) -> list[Any]:
    written = list(row)
    for index in dates:
        if written[index] is not None:
            written[index] = written[index].isoformat()
    return written
