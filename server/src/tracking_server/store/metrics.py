"""Metric histories as JSON: all points of a metric, or a sample of them.

Every function returns the items of a JSON array in pieces, to be joined by commas; no piece is empty. Rules:
``get_metric_history``, ``get_metric_history_bulk`` and ``get_metric_history_bulk_interval`` in
mlflow/store/tracking/sqlalchemy_store.py. A run that does not exist has no points.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from tracking_server.errors import ErrorCode, MlflowError, invalid_parameter
from tracking_server.store.database import Connection, Database, Dialect, Row
from tracking_server.store.queries import QueryFile

_QUERIES = QueryFile("metrics")
_POINTS_IN_PIECE = 10_000
_FIRST_STEP, _LAST_STEP = -(2**63), 2**63 - 1

Words = Mapping[str, msgspec.Raw]
# Protobuf's JSON has strings for what JSON's numbers lack; Flask writes these bare, which is no JSON.
_QUOTED: Words = {"nan": msgspec.Raw(b'"NaN"'), "inf": msgspec.Raw(b'"Infinity"'), "-inf": msgspec.Raw(b'"-Infinity"')}
_BARE: Words = {"nan": msgspec.Raw(b"NaN"), "inf": msgspec.Raw(b"Infinity"), "-inf": msgspec.Raw(b"-Infinity")}


class _Point(msgspec.Struct, omit_defaults=True):
    key: str
    value: float | msgspec.Raw
    timestamp: int
    step: int
    run_id: str | None = None


async def history(
    database: Database, run_id: str, key: str, max_results: int | None, offset: int
) -> tuple[Sequence[bytes], bool]:
    """The points of one run from number ``offset`` on, by time, step and value; and whether there are more.

    Without ``max_results`` all of them. Raises BAD_REQUEST or StoreError for an offset that the database refuses.
    """
    _check_range(database, offset)
    if database.dialect is Dialect.POSTGRESQL:
        rows = await database.fetch(_QUERIES["history"], run_id, key, offset, max_results, _opening(key))
        count = sum(row["points"] for row in rows)
        pieces: Sequence[bytes] = [row["json"] for row in rows if row["json"] is not None]
    else:

        async def read(connection: Connection) -> tuple[int, Sequence[bytes]]:
            found = await connection.fetch(_QUERIES["history"], run_id, key, offset, max_results)
            return len(found), list(_pieces(found[:max_results], key, _QUOTED))

        count, pieces = await database.read(read)
    return pieces, max_results is not None and count > max_results


async def histories(database: Database, run_ids: Sequence[str], key: str, limit: int) -> Sequence[bytes]:
    """The first ``limit`` points of several runs, by run, time, step and value, each with its run's id.

    NaN is bare here. Raises BAD_REQUEST or StoreError for a limit that the database refuses.
    """
    _check_range(database, limit)
    if database.dialect is Dialect.POSTGRESQL:
        rows = await database.fetch(_QUERIES["histories"], list(run_ids), key, limit, _opening(key))
        return [row["json"] for row in rows]

    async def read(connection: Connection) -> Sequence[bytes]:
        found = await connection.fetch(_QUERIES["histories"], _storable(run_ids), key, limit)
        # A negative limit is none to SQLite, but cuts stock's list from behind.
        return list(_pieces(found[:limit], key, _BARE))

    return await database.read(read)


async def samples(
    database: Database,
    run_ids: Sequence[str],
    key: str,
    max_results: int,
    first_step: int | None = None,
    last_step: int | None = None,
) -> Sequence[bytes]:
    """At most ``max_results`` points of each run, evenly chosen in the order of steps; by run as given, and step.

    ``first_step`` and ``last_step`` limit what is chosen from.
    """
    distinct = list(dict.fromkeys(run_ids))
    bounds = _FIRST_STEP if first_step is None else first_step, _LAST_STEP if last_step is None else last_step
    _check_range(database, *bounds)
    if database.dialect is Dialect.POSTGRESQL:
        rows = await database.fetch(_QUERIES["samples"], distinct, key, max_results, *bounds, _opening(key))
        of_run = {row["run_uuid"]: [row["json"]] for row in rows}
    else:

        async def read(connection: Connection) -> dict[str, list[bytes]]:
            found = await connection.fetch(_QUERIES["samples"], _storable(distinct), key, max_results, *bounds)
            grouped: dict[str, list[Row]] = {}
            for row in found:
                grouped.setdefault(row["run_uuid"], []).append(row)
            return {run_id: list(_pieces(points, key, _QUOTED)) for run_id, points in grouped.items()}

        of_run = await database.read(read)
    return [piece for run_id in run_ids for piece in of_run.get(run_id, ())]


def _check_range(database: Database, *numbers: int) -> None:
    if all(-(2**63) <= number < 2**63 for number in numbers):
        return
    message = "A number is out of range: it does not fit into 64 bits"
    # Stock says so on PostgreSQL, and fails with a 500 on SQLite.
    if database.dialect is Dialect.POSTGRESQL:
        raise MlflowError(message, ErrorCode.BAD_REQUEST)
    raise invalid_parameter(message)


def _storable(run_ids: Sequence[str]) -> list[str]:
    """Without ids that no run has and SQLite cannot take in a list."""
    return [run_id for run_id in run_ids if "\0" not in run_id]


def _opening(key: str) -> str:
    """What stands before the value in every point."""
    return f'{{"key":{msgspec.json.encode(key).decode()},"value":'


def _pieces(rows: Sequence[Row], key: str, words: Words) -> Iterator[bytes]:
    for begin in range(0, len(rows), _POINTS_IN_PIECE):
        points = [
            _Point(key, _value(value, is_nan, words), timestamp, step, *run_id)
            for value, timestamp, step, is_nan, *run_id in rows[begin : begin + _POINTS_IN_PIECE]
        ]
        yield msgspec.json.encode(points)[1:-1]


def _value(value: float, is_nan: bool, words: Words) -> float | msgspec.Raw:
    if is_nan:
        return words["nan"]
    return value if math.isfinite(value) else words[str(value)]
