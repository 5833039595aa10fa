"""Every row of a database, read without any of the code that copies it."""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.string import TextLoader

Tables = dict[str, list[dict[str, Any]]]


def read_all(uri: str) -> Tables:
    """The rows of all tables by name, in an order of their own, with the values of both dialects made comparable."""
    read = _sqlite(uri) if uri.startswith("sqlite") else _postgres(uri)
    return {name: sorted(rows, key=repr) for name, rows in read}


def differences(left: Tables, right: Tables) -> list[str]:
    """Where two readings differ, in words; empty when they are equal."""
    found = [f"only one has the table {name}" for name in left.keys() ^ right.keys()]
    for name in left.keys() & right.keys():
        mine, others = sorted(left[name], key=repr), sorted(right[name], key=repr)
        if repr(mine) != repr(others):
            odd = [row for row in mine if repr(row) not in set(map(repr, others))]
            more = [row for row in others if repr(row) not in set(map(repr, mine))]
            found.append(f"{name}: {len(mine)} and {len(others)} rows; {odd[:2]} against {more[:2]}")
    return found


def _sqlite(uri: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection:
        connection.row_factory = sqlite3.Row
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        for (name,) in names.fetchall():
            rows = connection.execute(f'SELECT * FROM "{name}"').fetchall()
            declared = {row["name"]: row["type"] for row in connection.execute(f'PRAGMA table_xinfo("{name}")')}
            yield name, [_plain(dict(row), declared) for row in rows]


def _postgres(uri: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    with psycopg.connect(uri) as connection:
        connection.adapters.register_loader("json", TextLoader)
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()").fetchall()
        for (name,) in names:
            cursor = connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(name)))
            columns = [column.name for column in cursor.description or ()]
            yield name, [_plain(dict(zip(columns, row, strict=True)), {}) for row in cursor]


def _plain(row: dict[str, Any], declared: dict[str, str]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for name in sorted(row):
        value = row[name]
        if declared.get(name) == "JSON" and value is not None:
            # A document that is one number has become that number.
            value = str(value)
        elif isinstance(value, bool):
            value = int(value)
        elif isinstance(value, datetime.date):
            value = value.isoformat()
        elif isinstance(value, float):
            value = value + 0.0  # SQLite keeps no sign of zero
        plain[name] = value
    return plain
