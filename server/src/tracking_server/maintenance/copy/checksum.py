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

    def add(self, row: Sequence[Any]) -> None:
        """Counts a row that ``values.RowReader`` has read."""
        if self._floats:
            row = list(row)
            for index in self._floats:
                value = row[index]
                if value is not None:
                    row[index] = value + 0.0 if value == value else math.nan
        hashed = hashlib.blake2b(self._encode(row), digest_size=_BYTES).digest()
        self.total = (self.total + int.from_bytes(hashed)) % _MODULUS
        self.rows += 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Digest) and (self.rows, self.total) == (other.rows, other.total)

    __hash__ = None  # type: ignore[assignment]  # how Python says that a mutable value has no hash

    def __str__(self) -> str:
        return f"{self.rows} rows, checksum {self.total:032x}"
