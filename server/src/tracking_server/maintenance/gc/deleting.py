"""Deletes rows in short transactions: no lock lasts, and a row goes only while its entity is still deleted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from tracking_server.errors import Unavailable
from tracking_server.maintenance.gc import tables
from tracking_server.maintenance.gc.pace import Pace, Throttle
from tracking_server.maintenance.gc.selection import QUERIES
from tracking_server.maintenance.gc.summary import Summary
from tracking_server.maintenance.gc.tables import Kind
from tracking_server.store.database import Connection, Database, Dialect, IntegrityViolation
from tracking_server.store.queries import Query

T = TypeVar("T")
Id = str | int
Lock = Callable[[Connection, Sequence[Id]], Awaitable[list[Id]]]

_PATIENCE_SECONDS = 120.0
_PAUSE_SECONDS = 1.0
# Each batch looks up its rows by an index: a plan made for the table as it was would read it whole, again and again.
_USE_INDEXES = (
    Query.build("gc_no_seqscan", "SET LOCAL enable_seqscan = off"),
    Query.build("gc_no_bitmapscan", "SET LOCAL enable_bitmapscan = off"),
)


class StillReferenced(Exception):
    """An experiment that cannot be deleted because rows of something else refer to it."""


class DeletingRows:
    """Deletes the rows of entities and adds what it deleted to ``summary``."""

    def __init__(self, database: Database, summary: Summary, throttle: Throttle) -> None:
        self._database = database
        self._summary = summary
        self._throttle = throttle
        # SQLite has one writer: the others wait, and poll, while a transaction runs.
        self._pace = Pace(share=0.5 if database.dialect is Dialect.SQLITE else 1.0)

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
        query = tables.owned_ids(kind)
        while rows := await self._patiently(partial(self._database.fetch, query, experiment_id, 512)):
            gone = await self._delete(kind, [row["id"] for row in rows], lock)
            if kind is tables.RUN:
                self._summary.runs += gone
            elif kind is tables.MODEL:
                self._summary.logged_models += gone
            elif kind is tables.TRACE:
                self._summary.traces += gone
            if not gone:
                # The experiment was restored meanwhile.
                return

    async def _delete(self, kind: Kind, ids: Sequence[Id], lock: Lock) -> int:
        """Deletes entities with their rows; returns how many entities went."""
        gone, position = 0, 0
        while position < len(ids):
            batch, budget = ids[position : position + self._pace.entities], self._pace.rows

            step = partial(_delete_some, kind=kind, ids=batch, budget=budget, lock=lock)
            began = time.monotonic()
            rows, entities = await self._patiently(partial(self._database.write, step))
            self._summary.rows += rows
            if entities is not None:
                gone += entities
                position += len(batch)
            await self._pace.learn(time.monotonic() - began)
            await self._throttle.spend(rows)
        return gone

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
    connection: Connection, *, kind: Kind, ids: Sequence[Id], budget: int, lock: Lock
) -> tuple[int, int | None]:
    """Deletes at most ``budget`` rows that go with the entities, and those when nothing is left of them.

    Returns the number of rows, and of entities (None when there is more to do for them).
    """
    if connection.dialect is Dialect.POSTGRESQL:
        for setting in _USE_INDEXES:
            await connection.execute(setting)
    ids = await lock(connection, ids)
    if not ids:
        return 0, 0
    rows = 0
    for part in kind.parts:
        rows += await connection.execute(tables.delete_some(kind, part), ids, budget - rows)
        if rows >= budget:
            return rows, None
    entities = await connection.execute(tables.delete_entities(kind), ids)
    return rows + entities, entities
