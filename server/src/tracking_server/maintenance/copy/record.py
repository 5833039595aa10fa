"""The record, kept in the target itself, of whose copy it is and how far each table has come.

It is written in the transactions that write the rows, so that the two never differ, whenever a copy is killed.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tracking_server.maintenance.copy.failures import CopyFailed
from tracking_server.maintenance.copy.tables import PROGRESS_TABLE, Table

_HEADER = ""
"""The name of the row that tells whose copy this is."""

_RECORD = sa.Table(
    PROGRESS_TABLE,
    sa.MetaData(),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("last", sa.Text, nullable=False),
    sa.Column("whole", sa.Integer, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Done:
    """How far a table has come: the last key written (as the source gives it), and whether it is whole."""

    last: Sequence[Any] | None = None
    whole: bool = False


def has_record(database: sa.Engine | sa.Connection) -> bool:
    """Whether a copy into the database was begun and not ended."""
    return sa.inspect(database).has_table(PROGRESS_TABLE)


class Record:
    """The record of one process's copy. Every method runs in the caller's transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._token = secrets.token_hex(8)

    def create(self, identity: Mapping[str, str], tables: Iterable[Table]) -> None:
        """Begins a record for a copy of what ``identity`` says."""
        _RECORD.create(self._connection)
        rows = [{"name": table.name, "last": "null", "whole": 0} for table in tables]
        header = {"name": _HEADER, "last": self._header(identity), "whole": 0}
        self._connection.execute(sa.insert(_RECORD), [header, *rows])

    def resume(self, identity: Mapping[str, str], target: str) -> dict[str, Done]:
        """Takes a record over: how far each table has come. Raises CopyFailed when it is of something else."""
        found = {
            row.name: Done(json.loads(row.last), bool(row.whole)) for row in self._connection.execute(_RECORD.select())
        }
        begun = json.loads(self._read_header())["identity"]
        if begun != dict(identity):
            told = ", ".join(f"{name} {value}" for name, value in begun.items())
            raise CopyFailed(
                f"{target} holds an unfinished copy of something else ({told}); finish that one, or pass --restart to"
                " throw away what it has written"
            )
        self._set(_HEADER, last=self._header(identity))
        del found[_HEADER]
        return found

    def note(self, table: Table, last: Sequence[Any] | None, whole: bool) -> None:
        """Notes what the transaction has written. Raises CopyFailed when another process has taken the copy over."""
        if json.loads(self._read_header())["token"] != self._token:
            raise CopyFailed("another copy into the same target has taken over")
        if last is not None:
            self._set(table.name, last=json.dumps(last, default=str), whole=int(whole))
        else:
            self._set(table.name, whole=int(whole))

    def drop(self) -> None:
        """Ends the record."""
        _RECORD.drop(self._connection)

    def _header(self, identity: Mapping[str, str]) -> str:
        return json.dumps({"identity": dict(identity), "token": self._token})

    def _read_header(self) -> str:
        statement = sa.select(_RECORD.c.last).where(_RECORD.c.name == _HEADER)
        return str(self._connection.execute(statement).scalar_one())

    def _set(self, name: str, **values: object) -> None:
        self._connection.execute(sa.update(_RECORD).where(_RECORD.c.name == name).values(**values))
