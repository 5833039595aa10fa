"""A value as its driver gives it → the value that the target is to hold, or why it cannot.

Every value is checked before anything is written, so that a copy does not fail in its last table.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from tracking_server.maintenance.copy.locations import Relocation
from tracking_server.maintenance.copy.tables import Column, Kind, Table

Convert = Callable[[Any], Any]


class CannotHold(ValueError):
    """A value that the target's column cannot hold."""


class RowReader:
    """Turns raw source rows of one table into rows for the target (``target_dialect`` is SQLAlchemy's name)."""

    def __init__(self, table: Table, target_dialect: str, relocation: Relocation | None = None) -> None:
        self._table = table
        self._converts = [(index, _converter(each, target_dialect)) for index, each in enumerate(table.columns)]
        self._relocate = relocation.for_table(table) if relocation else None
        self._limits = [(index, each) for index, each in enumerate(table.columns) if each.kind is Kind.TEXT]

    def read(self, raw: Sequence[Any]) -> list[Any]:
        """The row with every value converted. Raises CannotHold, which names the row and the column."""
        row = list(raw)
        index = 0
        try:
            for index, convert in self._converts:
                value = row[index]
                if value is not None:
                    row[index] = convert(value)
        except CannotHold as error:
            raise CannotHold(f"{self._table.describe_row(raw)}, {self._table.columns[index].name}: {error}") from None
        if self._relocate is not None:
            self._relocate(row)
        for index, column in self._limits:
            value = row[index]
            if column.longest is not None and value is not None and len(value) > column.longest:
                raise CannotHold(
                    f"{self._table.describe_row(raw)}, {column.name}: {len(value)} characters, where the target takes"
                    f" {column.longest}"
                )
        return row


def _converter(column: Column, target_dialect: str) -> Convert:
    match column.kind:
        case Kind.BOOLEAN:
            return _boolean
        case Kind.INTEGER:
            return _integer(32 if column.is_small else 64)
        case Kind.FLOAT:
            return _float_for_sqlite if target_dialect == "sqlite" else _float
        case Kind.TEXT:
            return _text_for_sqlite if target_dialect == "sqlite" else _text
        case Kind.JSON:
            return _json_for_sqlite if target_dialect == "sqlite" else _json
        case Kind.BYTES:
            return _bytes
        case Kind.DATE:
            return _date


def _boolean(value: Any) -> bool:
    if value is True or value is False:
        return bool(value)
    if isinstance(value, int) and value in (0, 1):
        return value == 1
    raise CannotHold(f"{value!r} is neither true nor false")


def _integer(bits: int) -> Convert:
    limit = 2 ** (bits - 1)

    def convert(value: Any) -> int:
        if not isinstance(value, int):
            raise CannotHold(f"{value!r} is not an integer")
        if not -limit <= value < limit:
            raise CannotHold(f"{value} does not fit into {bits} bits")
        return int(value)

    return convert


def _float(value: Any) -> float:
    if not isinstance(value, float | int):
        raise CannotHold(f"{value!r} is not a number")
    return float(value)


def _float_for_sqlite(value: Any) -> float:
    number = _float(value)
    if math.isnan(number):
        raise CannotHold("NaN, which SQLite would store as NULL")
    return number


def _text_for_sqlite(value: Any) -> str:
    if not isinstance(value, str):
        raise CannotHold(f"{type(value).__name__} where text belongs")
    return value


def _text(value: Any) -> str:
    text = _text_for_sqlite(value)
    if "\0" in text:
        raise CannotHold("a NUL character, which PostgreSQL's text cannot hold")
    return text


def _json_for_sqlite(value: Any) -> str:
    # SQLite's JSON columns have numeric affinity: a document that is one number comes back as that number.
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = json.dumps(value)
    if not isinstance(value, str):
        raise CannotHold(f"{type(value).__name__} where JSON belongs")
    return value


def _json(value: Any) -> str:
    text = _json_for_sqlite(value)
    try:
        json.loads(text, parse_constant=_not_json)
    except ValueError as error:
        raise CannotHold(f"not JSON: {error}") from None
    except RecursionError:
        raise CannotHold("JSON nested too deeply") from None
    return text


def _not_json(constant: str) -> None:
    raise ValueError(f"{constant}, which PostgreSQL's JSON cannot hold")


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise CannotHold(f"{type(value).__name__} where bytes belong")
    return bytes(value)


def _date(value: Any) -> datetime.date:
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return value
    try:
        return datetime.date.fromisoformat(value)
    except (TypeError, ValueError):
        raise CannotHold(f"{value!r} is not a date") from None
