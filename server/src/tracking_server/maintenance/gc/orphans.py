"""Artifacts that no row names, and rows whose artifacts are gone.

Looks only where MLflow puts artifacts: ``<experiment>/<run id>``, ``<experiment>/models/<model id>`` and
``<experiment>/traces/<trace id>``, below the experiments' artifact locations and, for experiments that are gone, below
the configured destination. Whatever else lies there is nobody's business. An artifact's row is written before it, so
what is listed first and has no row afterwards is an orphan, whatever trainers do meanwhile.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tracking_server.artifacts.store import ArtifactStore
from tracking_server.errors import ForwardRequest, MlflowError
from tracking_server.maintenance.gc.places import Foreign, Place, Places, WholeStorage
from tracking_server.maintenance.gc.progress import Reporter
from tracking_server.maintenance.gc.selection import QUERIES
from tracking_server.maintenance.gc.summary import Kept, Summary
from tracking_server.store.database import Database, Row

_RUN = re.compile(r"[0-9a-f]{32}")
_MODEL = re.compile(r"m-[0-9a-f]{32}")
_TRACE = re.compile(r"(?:tr-)?[0-9a-f]{32}")
_EXPERIMENT = re.compile(r"[0-9]{1,18}")
_BELOW = {"models": _MODEL, "traces": _TRACE}
_ANY_ID = re.compile(r"(?:m-|tr-)?[0-9a-f]{32}")
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Orphan:
    """A directory of artifacts that no row names."""

    place: str
    objects: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Missing:
    """A row that names artifacts where there are none."""

    id: str
    location: str


@dataclass(slots=True)
class OrphanReport:
    """What was found; ``kept`` names places that could not be looked at, or orphans that could not be deleted."""

    deleted: bool
    orphans: list[Orphan] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)

    def as_data(self) -> dict[str, Any]:
        """The report as JSON's values, with totals."""
        totals = {
            "objects": sum(orphan.objects for orphan in self.orphans),
            "bytes": sum(orphan.bytes for orphan in self.orphans),
        }
        return asdict(self) | totals


async def find_orphans(database: Database, places: Places, reporter: Reporter, *, delete: bool) -> OrphanReport:
    """Looks at every experiment's artifacts; deletes orphans only with ``delete``."""
    search = _Search(database, places, reporter, OrphanReport(delete))
    await search.look_for_orphans()
    await search.look_for_missing()
    return search.report


class _Search:
    def __init__(self, database: Database, places: Places, reporter: Reporter, report: OrphanReport) -> None:
        self._database = database
        self._places = places
        self._reporter = reporter
        self.report = report
        self._registered: set[str] = set()

    async def look_for_orphans(self) -> None:
        # The registry's versions may live in the artifacts of a run whose row is gone.
        async for page in self._versions():
            for row in page:
                for text in (row["source"], row["storage_location"]):
                    self._registered.update(_ANY_ID.findall(text or ""))
        seen: set[tuple[str, str]] = set()
        async for place in self._roots():
            if (place.storage, place.path) in seen:
                continue
            seen.add((place.storage, place.path))
            try:
                await self._look_below(place)
            except (MlflowError, ForwardRequest) as error:
                self.report.kept.append(Kept(_name(place), str(error)))

    async def look_for_missing(self) -> None:
        last = ""
        while page := await self._database.fetch(QUERIES["gc_ready_models"], last, _BATCH):
            last = page[-1]["id"]
            for row in page:
                await self._check(f"logged model {row['id']}", row["location"])
        async for versions in self._versions():
            for row in versions:
                # Other sources, such as models:/ and runs:/, name rows, not places.
                source = row["storage_location"] or row["source"] or ""
                if not source.startswith(("models:", "runs:")):
                    await self._check(f"model version {row['name']} {row['version']}", source)

    async def _roots(self) -> AsyncIterator[Place]:
        last = -(2**31)
        while page := await self._database.fetch(QUERIES["gc_experiment_locations"], last, _BATCH):
            last = page[-1]["id"]
            self._reporter.begin("experiments", len(page))
            for row in page:
                place = self._resolved(row["location"])
                if isinstance(place, Place):
                    yield place
                elif row["location"]:
                    reason = "only MLflow's own repositories reach it"
                    self.report.kept.append(Kept(f"experiment {row['id']} at {row['location']}", reason))
                self._reporter.advance(1, Summary(dry_run=True))
        destination = self._places.resolve_destination()
        if isinstance(destination, Place):
            for name in await _directories(destination.store, destination.path):
                if _EXPERIMENT.fullmatch(name):
                    yield _below(destination, name)

    async def _look_below(self, root: Place) -> None:
        names = await _directories(root.store, root.path)
        candidates = [(name, _below(root, name)) for name in names if _RUN.fullmatch(name)]
        for group, pattern in _BELOW.items():
            if group in names:
                inner = _below(root, group)
                found = await _directories(root.store, inner.path)
                candidates += [(name, _below(inner, name)) for name in found if pattern.fullmatch(name)]
        for start in range(0, len(candidates), _BATCH):
            batch = candidates[start : start + _BATCH]
            rows = await self._database.fetch(QUERIES["gc_named_ids"], [name for name, _ in batch])
            named = {row["id"] for row in rows} | self._registered
            for name, place in batch:
                if name not in named:
                    await self._orphan(place)

    async def _orphan(self, place: Place) -> None:
        objects = size = 0
        async for page in place.store.walk(place.path):
            objects += len(page)
            size += sum(file.size for file in page)
        if not objects:
            # A folder that a collection left empty, as stock does.
            return
        self.report.orphans.append(Orphan(_name(place), objects, size))
        if self.report.deleted:
            await place.store.delete(place.path)

    async def _check(self, entity: str, location: str | None) -> None:
        place = self._resolved(location)
        if not isinstance(place, Place):
            return
        try:
            async for page in place.store.walk(place.path):
                if page:
                    return
        except (MlflowError, ForwardRequest) as error:
            self.report.kept.append(Kept(entity, str(error)))
            return
        self.report.missing.append(Missing(entity, location or ""))

    async def _versions(self) -> AsyncIterator[Sequence[Row]]:
        last: tuple[str, int] = ("", 0)
        while page := await self._database.fetch(QUERIES["gc_version_sources"], *last, _BATCH):
            last = (page[-1]["name"], page[-1]["version"])
            yield page

    def _resolved(self, location: str | None) -> Place | Foreign | None:
        try:
            return self._places.resolve(location) if location else None
        except WholeStorage:
            return None


async def _directories(store: ArtifactStore, path: str) -> Iterable[str]:
    return [entry.name for entry in await store.entries(path) if entry.is_directory]


def _below(place: Place, name: str) -> Place:
    return Place(place.store, posixpath.join(place.path, name), place.storage)


def _name(place: Place) -> str:
    return posixpath.join(place.storage, place.path)
