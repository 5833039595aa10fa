"""Values as a driver gives them → values that the target is to hold, or why it cannot.

Every value is checked before anything is written, so that a copy does not fail in its last table. Rows come in
batches and are looked at column by column, most of them without a step of Python per value.
"""

from __future__ import annotations

import datetime
import itertools
import json
import math
import operator
from collections.abc import Callable, Sequence
from types import NoneType
from typing import Any

from tracking_server.maintenance.copy.locations import Relocation
from tracking_server.maintenance.copy.tables import Column, Kind, Table

Row = Sequence[Any]
_Convert = Callable[[Any], Any]
_Fits = Callable[[Sequence[Any], set[type]], bool]


class CannotHold(ValueError):
    """A value that the target's column cannot hold; the message names row and column."""


class RowReader:
    """Turns raw rows of one table into rows for the target (``dialect`` is SQLAlchemy's name of it)."""

    def __init__(self, table: Table, dialect: str, relocation: Relocation | None = None) -> None:
        self._table = table
        self._columns = [_ColumnReader(column, dialect) for column in table.columns]
        self._relocated = relocation.positions(table) if relocation is not None else ()
        self._relocate = relocation.relocate if relocation is not None else None

    def read(self, raw: Sequence[Row]) -> list[Row]:
        """The rows with every value converted. Raises CannotHold for the first that has none."""
        if not raw:
            return []
        try:
            values = self._relocate_columns(list(zip(*raw, strict=True)))
            read = [column.read(each) for column, each in zip(self._columns, values, strict=True)]
        except _Unfit:
            raise CannotHold(self.problems(raw)[0]) from None
        return list(zip(*read, strict=True))

    def problems(self, raw: Sequence[Row]) -> list[str]:
        """Why the rows cannot be held: one line for each value."""
        found = []
        for row in raw:
            values = self._relocate_columns([(value,) for value in row])
            for column, (value,) in zip(self._columns, values, strict=True):
                try:
                    column.convert(value)
                except _Unfit as error:
                    found.append(f"{self._table.describe_row(row)}, {column.name}: {error}")
        return found

    def _relocate_columns(self, columns: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        if self._relocate is not None:
            for position, only_where in self._relocated:
                wanted = [True] * len(columns[position]) if only_where is None else map(only_where, *columns)
                columns[position] = tuple(
                    self._relocate(value) if is_wanted and isinstance(value, str) else value
                    for value, is_wanted in zip(columns[position], wanted, strict=True)
                )
        return columns


class _Unfit(ValueError):
    """A value that the target's column cannot hold, without its place."""


class _ColumnReader:
    def __init__(self, column: Column, dialect: str) -> None:
        self.name = column.name
        self._convert, self._fits = _rules(column, dialect)

    def read(self, values: Sequence[Any]) -> Sequence[Any]:
        types = set(map(type, values))
        if self._fits(values, types):
            return values
        if self._convert is _boolean and types == {int} and set(values) <= {0, 1}:
            return tuple(map(bool, values))
        return [self.convert(value) for value in values]

    def convert(self, value: Any) -> Any:
        return None if value is None else self._convert(value)


def _rules(column: Column, dialect: str) -> tuple[_Convert, _Fits]:
    """How one value is converted, and when all values of a batch can stay as they are."""
    for_sqlite = dialect == "sqlite"
    match column.kind:
        case Kind.BOOLEAN:
            return _boolean, lambda _, types: types <= {bool, NoneType}
        case Kind.INTEGER:
            return _integer(32 if column.is_small else 64)
        case Kind.FLOAT:
            if for_sqlite:
                return (
                    _float_for_sqlite,
                    lambda values, types: types <= {float, NoneType} and not any(map(operator.ne, values, values)),
                )
            return _float, lambda _, types: types <= {float, NoneType}
        case Kind.TEXT:
            return _text_for_sqlite() if for_sqlite else _text(column.longest)
        case Kind.JSON:
            return (_json_for_sqlite if for_sqlite else _json), _never
        case Kind.BYTES:
            return _bytes, _never
        case Kind.DATE:
            return _date, _never


def _never(values: Sequence[Any], types: set[type]) -> bool:
    return types == {NoneType}


def _boolean(value: Any) -> bool:
    if isinstance(value, int) and value in (0, 1):
        return value == 1
    raise _Unfit(f"{value!r} is neither true nor false")


def _integer(bits: int) -> tuple[_Convert, _Fits]:
    limit = 2 ** (bits - 1)

    def convert(value: Any) -> int:
        if not isinstance(value, int):
            raise _Unfit(f"{value!r} is not an integer")
        if not -limit <= value < limit:
            raise _Unfit(f"{value} does not fit into {bits} bits")
        return int(value)

    def fits(values: Sequence[Any], types: set[type]) -> bool:
        if types == {int, NoneType}:
            values = [value for value in values if value is not None]
        elif types != {int}:
            return False
        return bool(-limit <= min(values) and max(values) < limit)

    return convert, fits


def _float(value: Any) -> float:
    if not isinstance(value, float | int):
        raise _Unfit(f"{value!r} is not a number")
    return float(value)


def _float_for_sqlite(value: Any) -> float:
    number = _float(value)
    if math.isnan(number):
        raise _Unfit("NaN, which SQLite would store as NULL")
    return number


def _text_for_sqlite() -> tuple[_Convert, _Fits]:
    return _checked_text, lambda _, types: types <= {str, NoneType}


def _checked_text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Unfit(f"{type(value).__name__} where text belongs")
    return value


def _text(longest: int | None) -> tuple[_Convert, _Fits]:
    def convert(value: Any) -> str:
        text = _checked_text(value)
        if "\0" in text:
            raise _Unfit("a NUL character, which PostgreSQL's text cannot hold")
        if longest is not None and len(text) > longest:
            raise _Unfit(f"{len(text)} characters, where the target takes {longest}")
        return text

    def fits(values: Sequence[Any], types: set[type]) -> bool:
        if types == {str, NoneType}:
            values = [value for value in values if value is not None]
        elif types != {str}:
            return types == {NoneType}
        if longest is not None and max(map(len, values)) > longest:
            return False
        return not any(map(operator.contains, values, itertools.repeat("\0")))

    return convert, fits


def _json_for_sqlite(value: Any) -> str:
    # SQLite's JSON columns have numeric affinity: a document that is one number comes back as that number.
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = json.dumps(value)
    if not isinstance(value, str):
        raise _Unfit(f"{type(value).__name__} where JSON belongs")
    return value


def _json(value: Any) -> str:
    text = _json_for_sqlite(value)
    try:
        json.loads(text, parse_constant=_not_json)
    except ValueError as error:
        raise _Unfit(f"not JSON: {error}") from None
    except RecursionError:
        raise _Unfit("JSON nested too deeply") from None
    return text


def _not_json(constant: str) -> None:
    raise ValueError(f"{constant}, which PostgreSQL's JSON cannot hold")


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise _Unfit(f"{type(value).__name__} where bytes belong")
    return bytes(value)


def _date(value: Any) -> datetime.date:
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return value
    try:
        return datetime.date.fromisoformat(value)
    except (TypeError, ValueError):
        raise _Unfit(f"{value!r} is not a date") from None
