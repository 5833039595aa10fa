"""The collection: plan, then artifacts before rows, batch by batch, in stock's order: runs, models, experiments, jobs.

A batch's rows are deleted when its artifacts are gone. Whatever ends the process in between, what is half gone is
still marked as deleted in MLflow, so the next collection finds it and goes on.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from tracking_server.clock import now_millis
from tracking_server.config import Config
from tracking_server.maintenance.gc.artifacts import Artifacts
from tracking_server.maintenance.gc.counting import CountingRows
from tracking_server.maintenance.gc.deleting import DeletingRows, StillReferenced
from tracking_server.maintenance.gc.pace import Throttle
from tracking_server.maintenance.gc.places import Places
from tracking_server.maintenance.gc.progress import Reporter
from tracking_server.maintenance.gc.selection import QUERIES, Jobs, Request, Selection, select
from tracking_server.maintenance.gc.stock_artifacts import StockArtifacts
from tracking_server.maintenance.gc.summary import Kept, Summary
from tracking_server.store.database import Database, Row

_BATCH = 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """At most ``entities`` runs, models, experiments and jobs together; ``rate`` rows and objects a second."""

    entities: int | None = None
    rate: float | None = None


async def collect(
    config: Config, database: Database, request: Request, reporter: Reporter, *, dry_run: bool, limits: Limits
) -> Summary:
    """Collects what ``request`` selects, or counts it. Raises MlflowError for what stock refuses, before anything."""
    selection = await select(database, request, now_millis())
    environment = {**os.environ, **config.stock.environment.reveal()}
    stock = StockArtifacts({**config.artifacts.environment_for_stock(), **config.stock.environment.reveal()})
    summary = Summary(dry_run, kept=list(selection.kept))
    throttle = Throttle(None if dry_run else limits.rate)
    artifacts = Artifacts(Places(config.artifacts, environment), stock, summary, throttle, delete=not dry_run)
    rows = CountingRows(database, summary, selection) if dry_run else DeletingRows(database, summary, throttle)
    began = time.monotonic()
    try:
        await _Collection(database, selection, artifacts, rows, summary, reporter, limits.entities).run()
    finally:
        await stock.close()
        summary.seconds = round(time.monotonic() - began, 3)
    return summary


class _Collection:
    def __init__(
        self,
        database: Database,
        selection: Selection,
        artifacts: Artifacts,
        rows: CountingRows | DeletingRows,
        summary: Summary,
        reporter: Reporter,
        limit: int | None,
    ) -> None:
        self._database = database
        self._selection = selection
        self._artifacts = artifacts
        self._rows = rows
        self._summary = summary
        self._reporter = reporter
        self._left = limit
        self._unfinished_experiments: set[int] = set()

    async def run(self) -> None:
        await self._runs()
        await self._models()
        await self._experiments()
        if self._selection.jobs is not None:
            await self._jobs(self._selection.jobs)

    async def _runs(self) -> None:
        selection = self._selection
        chosen = (selection.run_ids, selection.runs_until, selection.experiment_ids)
        total = await self._database.fetch_one(QUERIES["gc_count_runs"], *chosen)
        assert total is not None
        self._reporter.begin("runs", total[0])
        await self._with_artifacts("run", self._pages("gc_runs", chosen))

    async def _models(self) -> None:
        chosen = (self._selection.model_ids, self._selection.models_until)
        total = await self._database.fetch_one(QUERIES["gc_count_models"], *chosen)
        assert total is not None
        self._reporter.begin("logged models", total[0])
        await self._with_artifacts("logged model", self._pages("gc_models", chosen))

    async def _with_artifacts(self, noun: str, pages: AsyncIterator[Sequence[Row]]) -> None:
        """Deletes batches of runs or models; while a batch's rows go, the next batch's artifacts do."""
        delete = self._rows.runs if noun == "run" else self._rows.models
        deleting: asyncio.Task[None] | None = None
        try:
            async for page in pages:
                kept = await self._artifacts.collect([(row["id"], row["location"]) for row in page])
                for row in page:
                    if row["id"] in kept:
                        self._summary.kept.append(Kept(f"{noun} {row['id']}", kept[row["id"]]))
                        self._unfinished_experiments.add(row["experiment_id"])
                self._give_back(len(kept))
                if deleting is not None:
                    await deleting
                ids = [row["id"] for row in page if row["id"] not in kept]
                deleting = asyncio.create_task(self._delete_batch(delete, ids, len(page)))
            if deleting is not None:
                await deleting
        finally:
            if deleting is not None and not deleting.done():
                deleting.cancel()
                await asyncio.gather(deleting, return_exceptions=True)

    async def _delete_batch(self, delete: Callable[[list[str]], Awaitable[None]], ids: list[str], size: int) -> None:
        await delete(ids)
        self._reporter.advance(size, self._summary)

    async def _experiments(self) -> None:
        self._reporter.begin("experiments", len(self._selection.experiment_ids))
        for experiment_id in self._selection.experiment_ids:
            if experiment_id in self._unfinished_experiments:
                reason = "something in it had to be kept"
                self._summary.kept.append(Kept(f"experiment {experiment_id}", reason))
                continue
            if not self._take(1):
                return
            try:
                await self._rows.experiment(experiment_id)
            except StillReferenced as error:
                self._summary.kept.append(Kept(f"experiment {experiment_id}", str(error)))
                self._give_back(1)
            self._reporter.advance(1, self._summary)

    async def _jobs(self, jobs: Jobs) -> None:
        bounded = (jobs.ids, int(jobs.before is not None), jobs.before or 0)
        async for page in self._pages("gc_jobs", bounded):
            await self._rows.jobs([row["id"] for row in page])

    async def _pages(self, query: str, chosen: tuple[object, ...]) -> AsyncIterator[Sequence[Row]]:
        """The selected entities in the order of their ids, in batches, as long as the limit allows."""
        last = ""
        while True:
            size = _BATCH if self._left is None else max(1, min(_BATCH, self._left))
            page = await self._database.fetch(QUERIES[query], *chosen, last, size)
            if not page or not self._take(len(page)):
                return
            last = page[-1]["id"]
            yield page

    def _take(self, wanted: int) -> bool:
        """Whether the limit allows ``wanted`` more entities."""
        if self._left is None:
            return True
        if wanted > self._left:
            self._summary.limited = True
            return False
        self._left -= wanted
        return True

    def _give_back(self, kept: int) -> None:
        """What had to be kept does not count: it would come first each time, and nothing after it."""
        if self._left is not None:
            self._left += kept


def with_patience(config: Config) -> Config:
    """The configuration with the limits of a maintenance job: few connections, statements as long as they take."""
    database = dataclasses.replace(config.database, pool_min=0, pool_max=4, statement_timeout=0.0)
    return dataclasses.replace(config, database=database)
