"""Deletes the artifacts of many runs or models at once, or counts them."""

from __future__ import annotations

import asyncio
import itertools
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tracking_server.artifacts.objects import BucketStore
from tracking_server.artifacts.store import ArtifactStore, StoredFile
from tracking_server.errors import ForwardRequest, MlflowError, Unavailable
from tracking_server.maintenance.gc.pace import Throttle
from tracking_server.maintenance.gc.places import Foreign, Place, Places, WholeStorage
from tracking_server.maintenance.gc.stock_artifacts import StockArtifacts
from tracking_server.maintenance.gc.summary import Summary

_LISTINGS = 24
_BULK = 1000
_BULKS = 8
_FAILURES_OF_A_STORAGE = 3
# Runs of one experiment are listed together as long as so much of what is listed belongs to them.
_WORTHWHILE = 0.3
_FEWEST_TOGETHER, _MOST_TOGETHER = 8, 256
# No two such names sort differently as names and as parts of keys, where "-" and "." come before "/".
_PLAIN_NAME = re.compile(r"[0-9a-f]{32}")
_LAST = "/\U0010ffff"

Location = tuple[str, str | None]
"""An entity's id and its artifact location."""
_Owned = tuple[str, Place]
_OwnedFile = tuple[str, Place, StoredFile]


@dataclass(slots=True)
class _Batch:
    """What came of a batch so far: what must be kept, and files that wait to be deleted, by storage."""

    kept: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, list[_OwnedFile]] = field(default_factory=dict)
    foreign: dict[str, Foreign] = field(default_factory=dict)
    deletions: set[asyncio.Task[None]] = field(default_factory=set)

    def leave_to_stock(self, owner: str, place: Place) -> None:
        """For names that our library for buckets cannot express, such as ``a//b``."""
        self.foreign[owner] = Foreign(f"{place.storage}/{place.path}", None)


class Artifacts:
    """Works on the artifacts of one batch of entities after the other and adds what went to ``summary``.

    Memory is bounded: listings are worked on page by page, and wait while enough deletions are under way.
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

    async def collect(self, locations: Iterable[Location]) -> dict[str, str]:
        """Deletes (or counts) all artifacts of these entities; returns those that must be kept, with the reason.

        Artifacts that are missing are none to delete. What failed may be half gone: the next collection goes on.
        """
        batch = _Batch()
        owned = list(self._resolved(batch, locations))
        async with asyncio.TaskGroup() as group:
            for together in _neighbours(owned):
                if len(together) >= _FEWEST_TOGETHER:
                    group.create_task(self._list_together(batch, together))
                else:
                    for owner, place in together:
                        group.create_task(self._one(batch, owner, place))
        for files in batch.waiting.values():
            await self._begin_deletion(batch, files)
        await asyncio.gather(*batch.deletions)
        for owner, foreign in batch.foreign.items():
            outcome = await self._stock.collect(foreign, delete=self._delete)
            if outcome.error is not None:
                batch.kept[owner] = outcome.error
            self._count(outcome.objects, outcome.bytes)
        return batch.kept

    def _resolved(self, batch: _Batch, locations: Iterable[Location]) -> Iterator[_Owned]:
        for owner, location in locations:
            if not location:
                continue
            try:
                place = self._places.resolve(location)
            except WholeStorage:
                batch.kept[owner] = f"its artifact location {location} is not a directory of its own"
                continue
            if isinstance(place, Place):
                yield owner, place
            else:
                batch.foreign[owner] = place

    async def _one(self, batch: _Batch, owner: str, place: Place, after: str | None = None) -> None:
        """Works on one directory, or on what is listed ``after`` a path of it."""
        async with self._listing:
            if self._failures.get(place.storage, 0) >= _FAILURES_OF_A_STORAGE:
                batch.kept[owner] = f"{place.storage} did not answer"
                return
            try:
                if isinstance(place.store, BucketStore):
                    async for page in place.store.walk(place.path, after):
                        await self._found(batch, place.storage, [(owner, place, file) for file in page])
                else:
                    await self._on_disk(place)
                self._failures[place.storage] = 0
            except ForwardRequest:
                batch.leave_to_stock(owner, place)
            except MlflowError as error:
                self._keep(batch, owner, place.storage, error)

    async def _list_together(self, batch: _Batch, together: Sequence[_Owned]) -> None:
        """Lists neighbours in one sweep over their parent, and the rest one by one when most is somebody else's."""
        place = together[0][1]
        assert isinstance(place.store, BucketStore)
        ends = [each.path + _LAST for _, each in together]
        position, previous = 0, ""
        try:
            async with self._listing:
                async for page in place.store.walk(_parent(place), place.path):
                    found: list[_OwnedFile] = []
                    for file in page:
                        if file.path <= previous:
                            raise ForwardRequest("artifact-order")
                        previous = file.path
                        while position < len(together) and file.path > ends[position]:
                            position += 1
                        if position == len(together):
                            break
                        if file.path.startswith(together[position][1].path + "/"):
                            found.append((*together[position], file))
                    await self._found(batch, place.storage, found)
                    if position == len(together) or len(found) < _WORTHWHILE * len(page):
                        break
                else:
                    position = len(together)
        except (MlflowError, ForwardRequest):
            # Whose fault it is shows when they are listed one by one.
            position, previous = 0, ""
        for number, (owner, each) in enumerate(together[position:]):
            begun = number == 0 and previous.startswith(each.path + "/")
            await self._one(batch, owner, each, previous if begun else None)

    async def _on_disk(self, place: Place) -> None:
        async for page in place.store.walk(place.path):
            self._count(len(page), sum(file.size for file in page))
            await self._throttle.spend(len(page))
        if self._delete:
            await place.store.delete(place.path)

    async def _found(self, batch: _Batch, storage: str, files: list[_OwnedFile]) -> None:
        if not self._delete:
            self._count(len(files), sum(file.size for _, _, file in files))
            return
        waiting = batch.waiting.setdefault(storage, [])
        waiting += files
        while len(waiting) >= _BULK:
            full = waiting[:_BULK]
            del waiting[:_BULK]
            await self._begin_deletion(batch, full)

    async def _begin_deletion(self, batch: _Batch, files: Sequence[_OwnedFile]) -> None:
        """Returns when a call is free for them; the deletion itself goes on beside."""
        if files:
            await self._deleting.acquire()
            task = asyncio.create_task(self._delete_bulk(batch, files))
            batch.deletions.add(task)

    async def _delete_bulk(self, batch: _Batch, files: Sequence[_OwnedFile]) -> None:
        """Deletes files in one call; where it fails, they are tried owner by owner, to see whose it was."""
        try:
            store = files[0][1].store
            try:
                await self._delete_files(store, [file for _, _, file in files])
            except (MlflowError, ForwardRequest):
                for _, group in itertools.groupby(sorted(files, key=lambda each: each[0]), key=lambda each: each[0]):
                    await self._delete_of_owner(batch, list(group))
        finally:
            self._deleting.release()

    async def _delete_of_owner(self, batch: _Batch, files: Sequence[_OwnedFile]) -> None:
        owner, place, _ = files[0]
        try:
            await self._delete_files(place.store, [file for _, _, file in files])
        except ForwardRequest:
            batch.leave_to_stock(owner, place)
        except MlflowError as error:
            self._keep(batch, owner, place.storage, error)

    async def _delete_files(self, store: ArtifactStore, files: Sequence[StoredFile]) -> None:
        await store.delete_files([file.path for file in files])
        self._count(len(files), sum(file.size for file in files))
        await self._throttle.spend(len(files))

    def _count(self, objects: int, size: int) -> None:
        self._summary.objects += objects
        self._summary.bytes += size

    def _keep(self, batch: _Batch, owner: str, storage: str, error: MlflowError) -> None:
        if isinstance(error, Unavailable):
            self._failures[storage] = self._failures.get(storage, 0) + 1
        batch.kept[owner] = f"{storage}: {error.message}"


def _neighbours(owned: Sequence[_Owned]) -> Iterator[list[_Owned]]:
    """Groups those that one sweep over their common parent could list, in the order of their paths."""

    def parent(each: _Owned) -> tuple[str, str]:
        place = each[1]
        name = posixpath.basename(posixpath.dirname(place.path))
        if isinstance(place.store, BucketStore) and _PLAIN_NAME.fullmatch(name):
            return place.storage, _parent(place)
        return place.storage, ""

    for (_, common), group in itertools.groupby(sorted(owned, key=lambda one: (*parent(one), one[1].path)), key=parent):
        members = list(group)
        size = _MOST_TOGETHER if common else 1
        for start in range(0, len(members), size):
            yield members[start : start + size]


def _parent(place: Place) -> str:
    """The directory of an experiment, for one of a run's artifacts."""
    return posixpath.dirname(posixpath.dirname(place.path))
