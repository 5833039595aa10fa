"""Deletes rows in short transactions: no lock lasts, and a row goes only while its entity is still deleted."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from tracking_server.errors import ErrorCode, MlflowError, Unavailable
from tracking_server.maintenance.gc import tables
from tracking_server.maintenance.gc.pace import Pace, Throttle
from tracking_server.maintenance.gc.selection import QUERIES
from tracking_server.maintenance.gc.summary import Summary
from tracking_server.maintenance.gc.tables import Kind
from tracking_server.store.database import Connection, Database, Dialect, IntegrityViolation, Work
from tracking_server.store.queries import Query

T = TypeVar("T")
Id = str | int
Lock = Callable[[Connection, Sequence[Id]], Awaitable[list[Id]]]

_PATIENCE_SECONDS = 120.0
_PAUSE_SECONDS = 1.0
_BATCH = 512
# Of the time for a transaction: what a statement of it may take.
_STATEMENT_SHARE = 1.5
# Each batch looks up its rows by an index: a plan made for the table as it was would read it whole, again and again.
_SETTINGS = Query.build(
    "gc_settings",
    "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),"
    " set_config('statement_timeout', $1, true)",
)


class StillReferenced(Exception):
    """An experiment that cannot be deleted because rows of something else refer to it."""


class DeletingRows:
    """Deletes the rows of entities and adds what it deleted to ``summary``."""

    def __init__(self, database: Database, summary: Summary, throttle: Throttle) -> None:
        self._database = database
        self._summary = summary
        self._throttle = throttle
        # SQLite has one writer: the others wait, and poll, while a transaction runs. PostgreSQL locks only what goes.
        self._pace = Pace(0.2, share=0.5) if database.dialect is Dialect.SQLITE else Pace(0.3)

    async def runs(self, ids: Sequence[str]) -> None:
        self._summary.runs += await self._delete(tables.RUN, ids, _locked("gc_lock_runs"))

    async def models(self, ids: Sequence[str]) -> None:
        self._summary.logged_models += await self._delete(tables.MODEL, ids, _locked("gc_lock_models"))

    async def jobs(self, ids: Sequence[str]) -> None:
        self._summary.jobs += await self._delete(tables.JOB, ids, _locked("gc_lock_jobs"))

    async def experiment(self, experiment_id: int) -> None:
        """Deletes an experiment with all in it. Raises StillReferenced."""

        async def locked(connection: Connection, ids: Sequence[Id]) -> list[Id]:
            rows = await connection.fetch(QUERIES["gc_lock_experiment"], experiment_id)
            return list(ids) if rows else []

        try:
            for kind in tables.OWNED_BY_EXPERIMENT:
                await self._owned(kind, experiment_id, locked)
            self._summary.experiments += await self._delete(tables.EXPERIMENT, [experiment_id], locked)
        except IntegrityViolation as error:
            raise StillReferenced(str(error)) from error

    async def _owned(self, kind: Kind, experiment_id: int, lock: Lock) -> None:
        async for ids in self._ids_of(kind, experiment_id):
            gone = await self._delete(kind, ids, lock)
            if kind is tables.RUN:
                self._summary.runs += gone
            elif kind is tables.MODEL:
                self._summary.logged_models += gone
            elif kind is tables.TRACE:
                self._summary.traces += gone
            if not gone:
                # The experiment was restored meanwhile.
                return

    async def _ids_of(self, kind: Kind, experiment_id: int) -> AsyncIterator[list[Id]]:
        """The ids of an experiment's entities that are still there, batch by batch."""
        last: tuple[int, str] = (-(2**63), "")
        while True:
            if kind is tables.TRACE:
                read = partial(self._database.fetch, QUERIES["gc_traces_of_experiment"], experiment_id, _BATCH, *last)
            else:
                read = partial(self._database.fetch, tables.owned_ids(kind), experiment_id, _BATCH)
            rows = await self._patiently(read)
            if not rows:
                return
            if kind is tables.TRACE:
                last = (rows[-1]["timestamp_ms"], rows[-1]["id"])
            yield [row["id"] for row in rows]

    async def _delete(self, kind: Kind, ids: Sequence[Id], lock: Lock) -> int:
        """Deletes entities with their rows; returns how many entities went."""
        gone, position = 0, 0
        while position < len(ids):
            batch = ids[position : position + self._pace.entities]
            step = partial(
                _delete_some, kind=kind, ids=batch, budget=self._pace.rows, lock=lock, seconds=self._seconds()
            )
            done = await self._timed(step)
            if done is None:
                continue
            rows, entities = done
            self._summary.rows += rows
            await self._throttle.spend(rows)
            if entities is not None:
                gone += entities
                position += len(batch)
            elif len(batch) > 1:
                self._pace.entities = len(batch) // 2
            elif kind is tables.RUN and self._database.dialect is Dialect.POSTGRESQL:
                await self._history(batch, lock)
        return gone

    async def _history(self, run: Sequence[Id], lock: Lock) -> None:
        """Deletes the metrics of one run, of which there are many."""
        after: tuple[str, int] = ("", -(2**63))
        while True:
            budget = self._pace.rows
            step = partial(_delete_history, run=run, after=after, budget=budget, lock=lock, seconds=self._seconds())
            done = await self._timed(step)
            if done is None:
                continue
            rows, after = done
            self._summary.rows += rows
            await self._throttle.spend(rows)
            if rows < budget:
                return

    def _seconds(self) -> float:
        """The time for the next transaction; infinite for one that cannot be smaller."""
        return math.inf if self._pace.is_least else self._pace.longest

    async def _timed(self, step: Work[T]) -> T | None:
        """Runs ``step`` in a transaction, whose length decides how much the next one does.

        None for one that took too long: nothing of it was done.
        """
        began = time.monotonic()
        result = None
        try:
            result = await self._patiently(partial(self._database.write, step))
        except MlflowError as error:
            if error.code is not ErrorCode.DEADLINE_EXCEEDED or self._pace.is_least:
                raise
        await self._pace.learn(time.monotonic() - began)
        return result

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        """Runs ``work`` until the database is there; what it deletes again is gone already. Raises Unavailable."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return await work()
            except Unavailable:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)


def _locked(query: str) -> Lock:
    async def lock(connection: Connection, ids: Sequence[Id]) -> list[Id]:
        return [row["id"] for row in await connection.fetch(QUERIES[query], list(ids))]

    return lock


async def _delete_some(
    connection: Connection, *, kind: Kind, ids: Sequence[Id], budget: int, lock: Lock, seconds: float
) -> tuple[int, int | None]:
    """Deletes at most ``budget`` rows that go with the entities, and those when nothing is left of them.

    Begins nothing more after ``seconds``. Returns the number of rows, and of entities (None when there is more to do
    for them).
    """
    until = time.monotonic() + seconds
    await _set_up(connection, seconds)
    ids = await lock(connection, ids)
    if not ids:
        return 0, 0
    rows = 0
    for part in kind.parts:
        rows += await connection.execute(tables.delete_some(kind, part), ids, budget - rows)
        if rows >= budget or time.monotonic() > until:
            return rows, None
    entities = await connection.execute(tables.delete_entities(kind), ids)
    return rows + entities, entities


async def _delete_history(
    connection: Connection, *, run: Sequence[Id], after: tuple[str, int], budget: int, lock: Lock, seconds: float
) -> tuple[int, tuple[str, int]]:
    """Deletes at most ``budget`` metrics of one run, from a key and step on; returns how many, and the last one's."""
    await _set_up(connection, seconds)
    if not await lock(connection, run):
        return 0, after
    row = await connection.fetch_one(tables.DELETE_HISTORY, run[0], *after, budget)
    assert row is not None
    return row["rows"], (row["key"] or "", row["step"] or 0)


async def _set_up(connection: Connection, seconds: float) -> None:
    """Readies a transaction that is to take ``seconds``: PostgreSQL ends statements that take much longer."""
    if connection.dialect is Dialect.POSTGRESQL:
        milliseconds = 0 if math.isinf(seconds) else int(1000 * _STATEMENT_SHARE * seconds)
        await connection.fetch(_SETTINGS, str(milliseconds))
