"""What trainers log to a run: metrics, parameters and tags, of many requests in one transaction.

The rules are those of ``log_batch``, ``log_metric``, ``log_param`` and ``set_tag`` in
mlflow/store/tracking/sqlalchemy_store.py.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tracking_server.errors import MlflowError, invalid_parameter
from tracking_server.store.database import (
    Connection,
    Database,
    DataViolation,
    Dialect,
    IntegrityViolation,
    columns_of,
)
from tracking_server.store.group_commit import GroupCommit
from tracking_server.store.queries import Query, QueryFile
from tracking_server.store.run_errors import run_not_active, run_not_found

_QUERIES = QueryFile("run_log")
_LOG_METRICS = _QUERIES["log_metrics"]
# ON CONFLICT costs PostgreSQL an eighth of an insert (bench: log-batch), and few metrics are logged twice.
_LOG_NEW_METRICS = Query(
    "log_new_metrics", _LOG_METRICS.postgresql.replace("ON CONFLICT DO NOTHING", ""), _LOG_METRICS.sqlite
)
_LOG_NEW_PARAMS = _QUERIES["log_new_params"]
_REPEATS_SECONDS = 60.0
# So many rows keep a second core of PostgreSQL busy (bench: log-batch); fewer are quicker in one commit.
_CROWD = 150
_MAX_DOUBLE = 1.7976931348623157e308
RUN_NAME_TAG = "mlflow.runName"

MetricRow = tuple[str, str, float, int, int, bool]
"""run_uuid, key, value, timestamp (ms), step, is_nan: as in the tables metrics and latest_metrics."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What one request logs to one run, checked. ``single_param`` chooses log-parameter's words for a rewrite."""

    run_id: str
    metrics: Sequence[MetricRow] = ()
    params: Sequence[tuple[str, str]] = ()
    tags: Sequence[tuple[str, str]] = ()
    single_param: bool = False

    def rows(self) -> int:
        """The number of rows it writes, about."""
        return len(self.metrics) + len(self.params) + len(self.tags) + 1

    def has_only_metrics(self) -> bool:
        """Whether it logs metrics and nothing else."""
        return bool(self.metrics) and not self.params and not self.tags

    def has_only_params(self) -> bool:
        """Whether it logs parameters and nothing else."""
        return bool(self.params) and not self.metrics and not self.tags


def metric_row(run_id: str, key: str, value: float, timestamp: int, step: int) -> MetricRow:
    """A metric as it is stored: NaN as 0 with a mark, the infinities as the largest doubles."""
    if math.isnan(value):
        return run_id, key, 0.0, timestamp, step, True
    if math.isinf(value):
        value = math.copysign(_MAX_DOUBLE, value)
    return run_id, key, value, timestamp, step, False


class _ParamRace(Exception):
    """Another process stored one of the parameters between our look and our insert."""


class RunLog:
    """The one way to log to runs in this process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._expect_repeats_until = {_LOG_NEW_METRICS.name: 0.0, _LOG_NEW_PARAMS.name: 0.0}
        crowd = _CROWD if database.dialect is Dialect.POSTGRESQL else None
        self._commits: GroupCommit[LogEntry, None] = GroupCommit(
            self._write, LogEntry.rows, lambda entry: entry.run_id, crowd=crowd
        )

    async def log(self, entry: LogEntry) -> None:
        """Returns when ``entry`` is committed. Raises MlflowError, or StoreError for a value that does not fit."""
        await self._commits.submit(entry)

    async def close(self) -> None:
        """Returns when everything accepted is answered."""
        await self._commits.close()

    async def _write(self, entries: Sequence[LogEntry]) -> Sequence[Exception | None]:
        if self._database.dialect is Dialect.POSTGRESQL:
            # One statement commits by itself: no round trips for BEGIN and COMMIT.
            if all(entry.has_only_metrics() for entry in entries):
                return await self._write_metrics(entries)
            if all(entry.has_only_params() for entry in entries):
                stages = await self._write_params(entries)
                if stages is not None:
                    return [_refusal(entry, stages) for entry in entries]
        while True:
            try:
                return await self._database.write(lambda connection: log_entries(connection, entries))
            except _ParamRace:
                # The other transaction has committed by now, so the next look finds its parameters.
                continue

    async def _write_metrics(self, entries: Sequence[LogEntry]) -> Sequence[Exception | None]:
        rows = _metrics_of(entries)
        stages = await self._write_new(_LOG_NEW_METRICS, entries, rows)
        if stages is None:
            stages = await self._write_rows(_LOG_METRICS, entries, rows)
        return [_refusal(entry, stages) for entry in entries]

    async def _write_params(self, entries: Sequence[LogEntry]) -> dict[str, str] | None:
        rows = [(entry.run_id, key, value) for entry in entries for key, value in entry.params]
        try:
            return await self._write_new(_LOG_NEW_PARAMS, entries, rows)
        except DataViolation:
            # Which one it is, and what is said of it, is found where each is looked at.
            return None

    async def _write_new(
        self, query: Query, entries: Sequence[LogEntry], rows: Sequence[Sequence[Any]]
    ) -> dict[str, str] | None:
        """Writes rows of which none should be there yet, and returns the runs' stages; None where one was there."""
        if time.monotonic() < self._expect_repeats_until[query.name]:
            return None
        try:
            return await self._write_rows(query, entries, rows)
        except IntegrityViolation:
            self._expect_repeats_until[query.name] = time.monotonic() + _REPEATS_SECONDS
            return None

    async def _write_rows(
        self, query: Query, entries: Sequence[LogEntry], rows: Sequence[Sequence[Any]]
    ) -> dict[str, str]:
        run_ids = sorted({entry.run_id for entry in entries})
        return {row[0]: row[1] for row in await self._database.write_statement(query, run_ids, *columns_of(rows))}


async def log_entries(connection: Connection, entries: Sequence[LogEntry]) -> Sequence[Exception | None]:
    """Logs inside a transaction; says of each entry how it was refused (None: it was not)."""
    run_ids = sorted({entry.run_id for entry in entries})
    stages = {row[0]: row[1] for row in await _fetch_batch(connection, _QUERIES["lifecycle_stages"], run_ids)}
    outcomes = [_refusal(entry, stages) for entry in entries]
    await _log_params(connection, entries, outcomes)
    accepted = [entry for entry, outcome in zip(entries, outcomes, strict=True) if outcome is None]
    metrics = _metrics_of(accepted)
    if metrics:
        # In one order everywhere, so that writers wait for each other instead of deadlocking.
        await write_batch(connection, _QUERIES["insert_metrics"], sorted(metrics))
        await write_batch(connection, _QUERIES["upsert_latest_metrics"], _latest_of(metrics))
    tags = {(entry.run_id, key): value for entry in accepted for key, value in entry.tags}
    # An empty run name is ignored, tag and all (``update_run_info``).
    tags = {name: value for name, value in tags.items() if name[1] != RUN_NAME_TAG or value}
    # The run before its tags, as an update of the run locks them.
    names = sorted((run_id, value) for (run_id, key), value in tags.items() if key == RUN_NAME_TAG)
    await write_batch(connection, _QUERIES["rename_runs"], names)
    await write_batch(connection, _QUERIES["upsert_tags"], sorted((*name, value) for name, value in tags.items()))
    return outcomes


async def _log_params(connection: Connection, entries: Sequence[LogEntry], outcomes: list[MlflowError | None]) -> None:
    """Stores new parameters; an entry that would change one gets its error put into ``outcomes``."""
    wanted = sorted({(entry.run_id, key) for entry in entries for key, _ in entry.params})
    if not wanted:
        return
    found = await _fetch_batch(connection, _QUERIES["existing_params"], *columns_of(wanted))
    known = {(row[0], row[1]): row[2] for row in found}
    if connection.dialect is Dialect.POSTGRESQL and any(
        entry.single_param and "\0" in entry.params[0][1] for entry in entries
    ):
        # log-parameter looks the value up, which the database refuses; log-batch compares what it has read.
        raise DataViolation("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    new: dict[tuple[str, str], str] = {}
    for index, entry in enumerate(entries):
        if outcomes[index] is not None:
            continue
        changed = [
            {"key": key, "old_value": known[entry.run_id, key], "new_value": value}
            for key, value in entry.params
            if known.get((entry.run_id, key), value) != value
        ]
        if changed:
            outcomes[index] = _changed_params(entry, changed)
            continue
        for key, value in entry.params:
            if (entry.run_id, key) not in known:
                known[entry.run_id, key] = new[entry.run_id, key] = value
    rows = sorted((*name, value) for name, value in new.items())
    if await write_batch(connection, _QUERIES["insert_params"], rows) < len(rows):
        raise _ParamRace


def _changed_params(entry: LogEntry, changed: list[dict[str, str]]) -> MlflowError:
    if entry.single_param:
        first = changed[0]
        return invalid_parameter(
            f"Changing param values is not allowed. Param with key='{first['key']}' was already logged with"
            f" value='{first['old_value']}' for run ID='{entry.run_id}'. Attempted logging new value"
            f" '{first['new_value']}'."
        )
    return invalid_parameter(
        f"Changing param values is not allowed. Params were already logged='{changed}' for run ID='{entry.run_id}'."
    )


def _refusal(entry: LogEntry, stages: dict[str, str]) -> MlflowError | None:
    stage = stages.get(entry.run_id)
    if stage is None:
        return run_not_found(entry.run_id)
    if stage != "active":
        return run_not_active(entry.run_id, stage)
    return None


def _metrics_of(entries: Iterable[LogEntry]) -> list[MetricRow]:
    return [metric for entry in entries for metric in entry.metrics]


def _latest_of(metrics: Iterable[MetricRow]) -> list[MetricRow]:
    """Of each run and key the row with the greatest step, timestamp and value, the first of equals; sorted."""
    latest: dict[tuple[str, str], MetricRow] = {}
    for row in metrics:
        name = row[0], row[1]
        best = latest.get(name)
        if best is None or (row[4], row[3], row[2]) > (best[4], best[3], best[2]):
            latest[name] = row
    return [latest[name] for name in sorted(latest)]


async def write_batch(connection: Connection, query: Query, rows: Sequence[Sequence[Any]]) -> int:
    """Writes rows by one statement: columns as arrays on PostgreSQL, the rows one by one on SQLite.

    Returns how many were written; on SQLite, where nobody else writes meanwhile, all.
    """
    if not rows:
        return 0
    if connection.dialect is Dialect.POSTGRESQL:
        return await connection.execute(query, *columns_of(rows))
    await connection.execute_many(query, rows)
    return len(rows)


async def _fetch_batch(connection: Connection, query: Query, *columns: list[Any]) -> Sequence[Any]:
    if connection.dialect is Dialect.POSTGRESQL:
        return await connection.fetch(query, *columns)
    # The driver would refuse a NUL character in a list; here it names nothing that is stored.
    return await connection.fetch(query, *(json.dumps(column) for column in columns))
