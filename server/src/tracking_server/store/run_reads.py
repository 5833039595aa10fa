"""Whole runs, with their latest metrics, parameters, tags, inputs and outputs, by id or by search."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from tracking_server.search.plan import SearchPlan
from tracking_server.store.database import Connection, Database, Dialect, Row
from tracking_server.store.queries import Query, QueryFile, of_page
from tracking_server.store.run_errors import run_not_found

_QUERIES = QueryFile("run_reads")


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run's row (see ``whole_runs``) and its latest metrics as a JSON array, None for none."""

    row: Row
    metrics: bytes | None


class _LatestMetric(msgspec.Struct):
    key: str
    value: float | str
    timestamp: int
    step: int


def _whole_runs(name: str, source: str, postgresql_column: str = "") -> Query:
    """The runs "r" of ``source`` (FROM …), whole."""
    columns = _QUERIES["whole_runs"]
    sqlite = Query.build(name, f"{columns.sqlite}\n{source}").sqlite
    return Query(name, f"{columns.postgresql}{postgresql_column}\n{source}", sqlite)


_OF_PAGE = _whole_runs("runs_of_page", "FROM page JOIN runs r ON r.run_uuid = page.run_uuid\nORDER BY page.position")
# Without what puts a page in order, which is a fifth of the time of one run (bench: get run).
_GET_RUN = _whole_runs(
    "get_run", "FROM runs r WHERE r.run_uuid = $1", f",\n  ARRAY({_QUERIES['model_inputs'].postgresql}) AS model_inputs"
)


async def get(database: Database, run_id: str) -> tuple[StoredRun, Sequence[str]]:
    """The run and the ids of the logged models it took as inputs. Raises RESOURCE_DOES_NOT_EXIST."""
    if database.dialect is Dialect.POSTGRESQL:
        # One round trip, not the four of a transaction with two statements.
        row = await database.fetch_one(_GET_RUN, run_id)
        if row is None:
            raise run_not_found(run_id)
        return _stored(row), row["model_inputs"]

    async def look(connection: Connection) -> tuple[Sequence[StoredRun], Sequence[str]]:
        runs = await _load(connection, _GET_RUN, (run_id,))
        return runs, [row[0] for row in await connection.fetch(_QUERIES["model_inputs"], run_id)]

    runs, model_inputs = await database.read(look)
    if not runs:
        raise run_not_found(run_id)
    return runs[0], model_inputs


async def search(database: Database, plan: SearchPlan) -> tuple[Sequence[StoredRun], str | None]:
    """The runs of one page in order, and the next page's token."""
    query = of_page("run_uuid", plan.query, _OF_PAGE)
    if database.dialect is Dialect.POSTGRESQL:
        # One statement is one snapshot: no transaction, no further round trips.
        runs = [_stored(row) for row in await database.fetch(query, *plan.arguments)]
    else:
        runs = list(await database.read(lambda connection: _load(connection, query, plan.arguments)))
    return plan.page(runs)


async def _load(connection: Connection, query: Query, arguments: Sequence[object]) -> Sequence[StoredRun]:
    rows = await connection.fetch(query, *arguments)
    if connection.dialect is Dialect.POSTGRESQL:
        return [_stored(row) for row in rows]
    of_run: dict[str, list[_LatestMetric]] = {row["run_uuid"]: [] for row in rows}
    for run_id, key, value, timestamp, step, is_nan in await connection.fetch(
        _QUERIES["metrics_of_runs"], json.dumps(list(of_run))
    ):
        of_run[run_id].append(_LatestMetric(key, "NaN" if is_nan else value, timestamp, step))
    return [
        StoredRun(row, msgspec.json.encode(of_run[row["run_uuid"]]) if of_run[row["run_uuid"]] else None)
        for row in rows
    ]


def _stored(row: Row) -> StoredRun:
    return StoredRun(row, row["metrics"].encode() if row["metrics"] is not None else None)
