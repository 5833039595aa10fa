"""MLflow's tables as the target has them: which columns are copied, of what kind, and in which order."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tracking_server.maintenance.copy.failures import CopyFailed

VERSION_TABLE = "alembic_version"
PROGRESS_TABLE = "tracking_server_copy_progress"
"""Exists in the target as long as its copy is unfinished."""


class Kind(enum.StrEnum):
    """What a column holds, whatever its dialect calls it."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    FLOAT = "float"
    TEXT = "text"
    JSON = "json"
    BYTES = "bytes"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the target. ``longest`` counts characters (None: no limit); a small integer has 32 bits."""

    name: str
    kind: Kind
    nullable: bool
    longest: int | None = None
    is_small: bool = False
    has_sequence: bool = False

    @property
    def is_unbounded(self) -> bool:
        """Whether one value may be of any size."""
        return self.kind in (Kind.JSON, Kind.BYTES) or (self.kind is Kind.TEXT and self.longest is None)


@dataclass(frozen=True, slots=True)
class Table:
    """A table with the columns that are copied (generated ones are not) and the names of its primary key's."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def key_positions(self) -> tuple[int, ...]:
        """Where the primary key's columns stand among ``columns``."""
        names = [column.name for column in self.columns]
        return tuple(names.index(name) for name in self.key)

    def describe_row(self, row: Sequence[object]) -> str:
        """A row's name for a message: its table and primary key."""
        key = ", ".join(
            f"{name}={_shortened(row[position])}" for name, position in zip(self.key, self.key_positions, strict=True)
        )
        return f"{self.name} ({key})"


def read_tables(target: sa.Engine) -> tuple[Table, ...]:
    """The target's tables, each after those that its foreign keys point to. Raises CopyFailed for an unknown type."""
    metadata = sa.MetaData()
    metadata.reflect(target)
    left_out = (VERSION_TABLE, PROGRESS_TABLE)
    return tuple(_table(each, target.dialect.name) for each in metadata.sorted_tables if each.name not in left_out)


def check_source(source: sa.Engine, tables: Sequence[Table]) -> None:
    """Raises CopyFailed when the source lacks a table or a column of the target."""
    inspector = sa.inspect(source)
    present = set(inspector.get_table_names())
    missing = [table.name for table in tables if table.name not in present]
    for table in tables:
        if table.name in present:
            names = {column["name"] for column in inspector.get_columns(table.name)}
            missing += [f"{table.name}.{column.name}" for column in table.columns if column.name not in names]
    if missing:
        raise CopyFailed(f"the source has the target's revision but lacks {', '.join(missing)}; it was changed by hand")


def _table(reflected: sa.Table, dialect: str) -> Table:
    columns = tuple(_column(each, dialect) for each in reflected.columns if each.computed is None)
    key = tuple(column.name for column in reflected.primary_key.columns)
    if not key:
        raise CopyFailed(f"the table {reflected.name} has no primary key, so that its rows cannot be told apart")
    return Table(reflected.name, columns, key)


def _column(reflected: sa.Column[object], dialect: str) -> Column:
    kind = _kind(reflected)
    longest = None
    # SQLite keeps a text of any length whatever its column says.
    if isinstance(reflected.type, sa.String) and dialect != "sqlite":
        longest = reflected.type.length
    is_small = isinstance(reflected.type, sa.Integer) and not isinstance(reflected.type, sa.BigInteger)
    default = reflected.server_default
    return Column(
        name=reflected.name,
        kind=kind,
        nullable=bool(reflected.nullable),
        longest=longest,
        is_small=is_small and dialect != "sqlite",
        has_sequence=reflected.identity is not None
        or (isinstance(default, sa.DefaultClause) and "nextval(" in str(default.arg)),
    )


def _kind(column: sa.Column[object]) -> Kind:
    kinds: tuple[tuple[type[Any], Kind], ...] = (
        (sa.Boolean, Kind.BOOLEAN),
        (sa.Integer, Kind.INTEGER),
        (sa.JSON, Kind.JSON),
        (sa.Float, Kind.FLOAT),
        (sa.LargeBinary, Kind.BYTES),
        (sa.Date, Kind.DATE),
        (sa.String, Kind.TEXT),
    )
    for type_, kind in kinds:
        if isinstance(column.type, type_):
            return kind
    raise CopyFailed(f"the column {column.table.name}.{column.name} has a type unknown to this command: {column.type}")


def _shortened(value: object, longest: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= longest else text[: longest - 1] + "…"
