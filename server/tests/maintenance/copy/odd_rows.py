"""Rows of every table of MLflow's schema, with values that databases treat differently."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from hypothesis import strategies as st

# What MLflow's CHECK constraints allow.
_CHOICES = {
    "lifecycle_stage": ("active", "deleted"),
    ("runs", "status"): ("SCHEDULED", "FAILED", "FINISHED", "RUNNING", "KILLED"),
    ("runs", "source_type"): ("NOTEBOOK", "JOB", "LOCAL", "UNKNOWN", "PROJECT"),
}
_ROOT = "/old/artifacts"
_LOCATIONS = (
    f"{_ROOT}/1/a",
    f"file://{_ROOT}/1/b c",
    f"file://{_ROOT}/1/b%20c",
    _ROOT,
    f"{_ROOT}-other/1",
    "mlflow-artifacts:/1/c",
    "s3://elsewhere/1",
    "models:/m-1",
)
_LOCATION_COLUMNS = (
    *(("experiments", "artifact_location"), ("runs", "artifact_uri"), ("logged_models", "artifact_location")),
    *(("model_versions", "source"), ("model_versions", "storage_location")),
    *(("workspaces", "default_artifact_root"), ("workspaces", "trace_archival_location")),
)
# Sums of their values are a column of their own, which must not overflow.
_SUMMED = ("start_time_unix_nano", "end_time_unix_nano")


@dataclass(frozen=True)
class Pools:
    """Values to choose from."""

    texts: Sequence[str]
    integers: Sequence[int]
    floats: Sequence[float]
    documents: Sequence[str]
    bytes: Sequence[bytes]


def pools() -> st.SearchStrategy[Pools]:
    """Odd values: what hypothesis thinks of, and what is known to go wrong."""
    text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
    json_values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
        lambda inner: st.lists(inner) | st.dictionaries(text, inner),
        max_leaves=5,
    )
    edges = st.sampled_from((-(2**63), 2**63 - 1, 2**31, -1, 0))
    floats = st.sampled_from((1.7976931348623157e308, -1.7976931348623157e308, 5e-324, -0.0, 0.1 + 0.2, float("inf")))
    return st.builds(
        Pools,
        texts=st.lists(text, min_size=5, max_size=20).map(
            lambda found: [*found, "", " ", "'\"\\\t\r\n\\N%s$1", "x" * 9000, "Ünï\u202e😀" * 40, "null", "1", "NaN"]
        ),
        integers=st.lists(edges | st.integers(-(2**63), 2**63 - 1), min_size=5, max_size=20),
        floats=st.lists(floats | st.floats(allow_nan=False), min_size=5, max_size=20),
        documents=st.lists(st.builds(json.dumps, json_values, indent=st.sampled_from((None, 3))))
        .filter(bool)
        .map(lambda found: [*found, "1", "-0.5", '"text"', "null", '{"b": 1,  "a": [1e3, "\\u0000"], "b": 2}']),
        bytes=st.lists(st.binary(), min_size=2).map(lambda found: [*found, b"", b"\0\xff", bytes(range(256))]),
    )


def fill(uri: str, pools: Pools, seed: int, rows: int = 8) -> None:
    """Puts about ``rows`` rows into each table of an SQLite database with MLflow's schema, foreign keys kept."""
    engine = sa.create_engine(uri, poolclass=sa.NullPool)
    metadata = sa.MetaData()
    metadata.reflect(engine)
    chooser = random.Random(seed)
    written: dict[str, list[dict[str, Any]]] = {}
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        for table in metadata.sorted_tables:
            if table.name == "alembic_version":
                continue
            kept = written[table.name] = []
            for _ in range(rows):
                row = _row(table, pools, chooser, written)
                names = ", ".join(f'"{name}"' for name in row)
                marks = ", ".join("?" * len(row))
                done = connection.execute(
                    f'INSERT OR IGNORE INTO "{table.name}" ({names}) VALUES ({marks})',
                    list(row.values()),
                )
                if done.rowcount == 1:
                    kept.append(row)
            assert kept, f"no row fits into {table.name}"
        connection.commit()


def _row(
    table: sa.Table, pools: Pools, chooser: random.Random, written: dict[str, list[dict[str, Any]]]
) -> dict[str, Any]:
    row = {
        column.name: _value(table.name, column, pools, chooser) for column in table.columns if column.computed is None
    }
    for constraint in table.foreign_key_constraints:
        parent = chooser.choice(written[constraint.referred_table.name])
        for element in constraint.elements:
            row[element.parent.name] = parent[element.column.name]
    if table.name == "trace_tags" and chooser.random() < 0.5:
        row |= {"key": chooser.choice(("mlflow.artifactLocation", "mlflow.trace.archiveLocation"))}
        row |= {"value": chooser.choice(_LOCATIONS)}
    return row


def _value(table: str, column: sa.Column[Any], pools: Pools, chooser: random.Random) -> Any:
    name, type_ = column.name, column.type
    if column.nullable and chooser.random() < 0.2:
        return None
    choices = _CHOICES.get((table, name)) or _CHOICES.get(name)
    if choices:
        return chooser.choice(choices)
    if (table, name) in _LOCATION_COLUMNS:
        return chooser.choice(_LOCATIONS)
    if isinstance(type_, sa.Boolean):
        return chooser.randrange(2)
    if isinstance(type_, sa.JSON):
        return chooser.choice(pools.documents)
    if isinstance(type_, sa.Integer):
        if name in _SUMMED:
            return chooser.randrange(2**61)
        value = chooser.choice(pools.integers)
        small = not isinstance(type_, sa.BigInteger)
        return value % 2**31 - (2**30 if value % 2 and not column.primary_key else 0) if small else value
    if isinstance(type_, sa.Float):
        return chooser.choice(pools.floats)
    if isinstance(type_, sa.LargeBinary):
        return chooser.choice(pools.bytes)
    if isinstance(type_, sa.Date):
        return f"{chooser.randrange(1, 10000):04}-{chooser.randrange(1, 13):02}-{chooser.randrange(1, 29):02}"
    assert isinstance(type_, sa.String), type_
    text = chooser.choice(pools.texts) + chooser.choice(("", str(chooser.random())))
    return text if type_.length is None else text[-type_.length :]


def relocated(value: Any, new: str) -> Any:
    """What a location of ``fill``'s is to be when artifacts move from its root to ``new``."""
    moved = {
        _ROOT: new,
        f"{_ROOT}/1/a": f"{new}/1/a",
        f"file://{_ROOT}/1/b c": f"{new}/1/b c",
        f"file://{_ROOT}/1/b%20c": f"{new}/1/b%20c",
    }
    return moved.get(value, value)


def relocate_rows(tables: dict[str, list[dict[str, Any]]], new: str) -> None:
    """Changes the rows of ``reading.read_all`` as a copy to ``new`` is to change them."""
    for table, column in _LOCATION_COLUMNS:
        for row in tables[table]:
            row[column] = relocated(row[column], new)
    for row in tables["trace_tags"]:
        if row["key"] in ("mlflow.artifactLocation", "mlflow.trace.archiveLocation"):
            row["value"] = relocated(row["value"], new)
