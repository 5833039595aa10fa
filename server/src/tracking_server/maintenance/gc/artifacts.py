"""Deletes the artifacts of many runs or models at once, or counts them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tracking_server.artifacts.disk import DiskStore
from tracking_server.artifacts.store import ArtifactStore, StoredFile
from tracking_server.errors import ForwardRequest, MlflowError, Unavailable
from tracking_server.maintenance.gc.pace import Throttle
from tracking_server.maintenance.gc.places import Foreign, Place, Places, WholeStorage
from tracking_server.maintenance.gc.stock_artifacts import StockArtifacts
from tracking_server.maintenance.gc.summary import Summary

_LISTINGS = 24
_BULK = 1000
_BULKS = 4
_FAILURES_OF_A_STORAGE = 3

Owned = tuple[str, str | None]
"""An entity's id and its artifact location."""


@dataclass(slots=True)
class _Bulk:
    """Files of several owners in one store, waiting to be deleted in one call."""

    store: ArtifactStore
    files: list[tuple[str, StoredFile]] = field(default_factory=list)


class Artifacts:
    """Works on the artifacts of one batch of entities after the other and adds what went to ``summary``.

    Memory is bounded: a directory's listing is worked on page by page.
    """

    def __init__(
        self, places: Places, stock: StockArtifacts, summary: Summary, throttle: Throttle, *, delete: bool
    ) -> None:
        self._places = places
        self._stock = stock
        self._summary = summary
        self._throttle = throttle
        self._delete = delete
        self._listing = asyncio.Semaphore(_LISTINGS)
        self._deleting = asyncio.Semaphore(_BULKS)
        self._failures: dict[str, int] = {}

    async def collect(self, owned: Iterable[Owned]) -> dict[str, str]:
        """Deletes (or counts) all artifacts of ``owned``; returns those that must be kept, with the reason.

        Artifacts that are missing are none to delete. What failed may be half gone: the next collection goes on.
        """
        batch = _Batch()
        native: list[tuple[str, Place]] = []
        foreign: list[tuple[str, Foreign]] = []
        for owner, location in owned:
            if not location:
                continue
            try:
                place = self._places.resolve(location)
            except WholeStorage:
                batch.kept[owner] = f"its artifact location {location} is not a directory of its own"
                continue
            if isinstance(place, Place):
                native.append((owner, place))
            else:
                foreign.append((owner, place))
        async with asyncio.TaskGroup() as group:
            for owner, place in native:
                group.create_task(self._one(batch, owner, place))
        await asyncio.gather(*(self._flush(batch, bulk) for bulk in batch.bulks.values()))
        if foreign:
            await self._foreign(batch, foreign)
        return batch.kept

    async def _one(self, batch: _Batch, owner: str, place: Place) -> None:
        async with self._listing:
            if self._failures.get(place.storage, 0) >= _FAILURES_OF_A_STORAGE:
                batch.kept[owner] = f"{place.storage} did not answer"
                return
            try:
                await self._walk(batch, owner, place)
            except ForwardRequest:
                batch.kept[owner] = f"a file in {place.storage}/{place.path} has a name that cannot be listed"
            except MlflowError as error:
                self._keep(batch, owner, place.storage, error)

    async def _walk(self, batch: _Batch, owner: str, place: Place) -> None:
        objects = size = 0
        async for page in place.store.walk(place.path):
            if isinstance(place.store, DiskStore) or not self._delete:
                objects += len(page)
                size += sum(file.size for file in page)
                continue
            bulk = batch.bulks.setdefault(place.storage, _Bulk(place.store))
            bulk.files += [(owner, file) for file in page]
            if len(bulk.files) >= _BULK:
                full = _Bulk(place.store, bulk.files)
                bulk.files = []
                await self._flush(batch, full)
        if self._delete and isinstance(place.store, DiskStore):
            await place.store.delete(place.path)
        self._summary.objects += objects
        self._summary.bytes += size
        if objects:
            await self._throttle.spend(objects)

    async def _flush(self, batch: _Batch, bulk: _Bulk) -> None:
        """Deletes the files of a bulk; where one call fails, it is tried owner by owner, to see whose it was."""
        for start in range(0, len(bulk.files), _BULK):
            files = bulk.files[start : start + _BULK]
            try:
                await self._delete_files(bulk.store, [file for _, file in files])
            except (MlflowError, ForwardRequest):
                await self._flush_by_owner(batch, bulk.store, files)

    async def _flush_by_owner(
        self, batch: _Batch, store: ArtifactStore, files: Sequence[tuple[str, StoredFile]]
    ) -> None:
        by_owner: dict[str, list[StoredFile]] = {}
        for owner, file in files:
            by_owner.setdefault(owner, []).append(file)
        for owner, its_files in by_owner.items():
            try:
                await self._delete_files(store, its_files)
            except ForwardRequest:
                batch.kept[owner] = "a file of it has a name that cannot be deleted"
            except MlflowError as error:
                batch.kept[owner] = error.message

    async def _delete_files(self, store: ArtifactStore, files: Sequence[StoredFile]) -> None:
        async with self._deleting:
            await store.delete_files([file.path for file in files])
        self._summary.objects += len(files)
        self._summary.bytes += sum(file.size for file in files)
        await self._throttle.spend(len(files))

    async def _foreign(self, batch: _Batch, foreign: Sequence[tuple[str, Foreign]]) -> None:
        for owner, place in foreign:
            outcome = await self._stock.collect(place, delete=self._delete)
            if outcome.error is not None:
                batch.kept[owner] = outcome.error
            self._summary.objects += outcome.objects
            self._summary.bytes += outcome.bytes

    def _keep(self, batch: _Batch, owner: str, storage: str, error: MlflowError) -> None:
        if isinstance(error, Unavailable):
            self._failures[storage] = self._failures.get(storage, 0) + 1
        batch.kept[owner] = f"{storage}: {error.message}"


@dataclass(slots=True)
class _Batch:
    kept: dict[str, str] = field(default_factory=dict)
    bulks: dict[str, _Bulk] = field(default_factory=dict)
