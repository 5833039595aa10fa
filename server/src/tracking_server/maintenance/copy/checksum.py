"""What a table holds in two numbers that do not depend on the order of its rows, nor on the database's dialect."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import msgspec

from tracking_server.maintenance.copy.tables import Kind, Table

_BYTES = 16
_MODULUS = 1 << (8 * _BYTES)


class Digest:
    """The number of rows and the sum of their hashes.

    Two zeros count as equal whatever their sign, which SQLite does not keep, and so do all NaNs.
    """

    __slots__ = ("_encode", "_floats", "rows", "total")

    def __init__(self, table: Table) -> None:
        self.rows = 0
        self.total = 0
        self._floats = [index for index, column in enumerate(table.columns) if column.kind is Kind.FLOAT]
        self._encode = msgspec.msgpack.Encoder().encode

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Counts rows that ``values.RowReader`` has read."""
        for row in map(self._plain, rows) if self._floats else rows:
            hashed = hashlib.blake2b(self._encode(row), digest_size=_BYTES).digest()
            self.total += int.from_bytes(hashed)
        self.total %= _MODULUS
        self.rows += len(rows)

    def agrees_with(self, other: Digest) -> bool:
        """Whether both stand for the same rows."""
        return (self.rows, self.total) == (other.rows, other.total)

    def __str__(self) -> str:
        return f"{self.rows} rows, checksum {self.total:032x}"

    def _plain(self, row: Sequence[Any]) -> Sequence[Any]:
        for index in self._floats:
            value = row[index]
            if value is not None and (value == 0 or value != value):
                changed = list(row)
                for each in self._floats:
                    number = changed[each]
                    if number is not None:
                        changed[each] = number + 0.0 if number == number else math.nan
                return changed
        return row
