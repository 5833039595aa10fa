"""Counts what deleting would delete, and changes nothing: the other half of a dry run."""

from __future__ import annotations

from collections.abc import Sequence

from tracking_server.maintenance.gc import tables
from tracking_server.maintenance.gc.selection import QUERIES, Selection
from tracking_server.maintenance.gc.summary import Summary
from tracking_server.maintenance.gc.tables import Kind
from tracking_server.store.database import Database
from tracking_server.store.queries import Query

_SHARED = "logged_model_metrics"
"""The one table whose rows go with a run or with a model, whichever goes first: each must be counted once."""


class CountingRows:
    """Adds what would be deleted to ``summary``; called as ``DeletingRows`` is."""

    def __init__(self, database: Database, summary: Summary, selection: Selection) -> None:
        self._database = database
        self._summary = summary
        self._selection = selection

    async def runs(self, ids: Sequence[str]) -> None:
        self._summary.runs += len(ids)
        self._summary.rows += len(ids) + await self._parts(tables.RUN, ids, skipped="")

    async def models(self, ids: Sequence[str]) -> None:
        self._summary.logged_models += len(ids)
        self._summary.rows += len(ids) + await self._parts(tables.MODEL, ids, skipped=_SHARED)
        self._summary.rows += await self._count(
            QUERIES["gc_count_model_metrics_of_models"], list(ids), *self._runs_selected()
        )

    async def jobs(self, ids: Sequence[str]) -> None:
        self._summary.jobs += len(ids)
        self._summary.rows += len(ids) + await self._parts(tables.JOB, ids, skipped="")

    async def experiment(self, experiment_id: int) -> None:
        models = (self._selection.model_ids, self._selection.models_until)
        for kind in tables.OWNED_BY_EXPERIMENT:
            arguments = (experiment_id, *(models if kind is tables.MODEL else ()))
            entities = await self._count(tables.count_owned(kind), *arguments)
            self._summary.rows += entities
            if kind is tables.RUN:
                self._summary.runs += entities
            elif kind is tables.MODEL:
                self._summary.logged_models += entities
            elif kind is tables.TRACE:
                self._summary.traces += entities
            for part in kind.parts:
                if part.table != _SHARED:
                    self._summary.rows += await self._count(tables.count_owned(kind, part), *arguments)
        self._summary.rows += await self._count(
            QUERIES["gc_count_model_metrics_of_experiment"], experiment_id, *self._runs_selected(), *models
        )
        self._summary.experiments += 1
        self._summary.rows += 1 + await self._parts(tables.EXPERIMENT, [experiment_id], skipped="")

    def _runs_selected(self) -> tuple[list[str], int, list[int]]:
        return self._selection.run_ids, self._selection.runs_until, self._selection.experiment_ids

    async def _parts(self, kind: Kind, ids: Sequence[str | int], skipped: str) -> int:
        counts = [
            await self._count(tables.count_part(kind, part), list(ids)) for part in kind.parts if part.table != skipped
        ]
        return sum(counts)

    async def _count(self, query: Query, *arguments: object) -> int:
        row = await self._database.fetch_one(query, *arguments)
        assert row is not None
        count: int = row[0]
        return count
