"""Artifacts copied from one place to another, several at a time, in memory that their sizes do not change.

A file that already stands in the target with its size is not copied again, which is how a copy goes on after a kill.
"""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field

from tracking_server.artifacts.store import ArtifactStore, Entry
from tracking_server.errors import ForwardRequest, MlflowError
from tracking_server.maintenance.copy.failures import CopyFailed, Refused
from tracking_server.maintenance.copy.progress import Step

_AT_A_TIME = 16
_LARGE = 8 * 1024 * 1024
_LARGE_AT_A_TIME = 3
_DIRECTORIES_AT_A_TIME = 16
_FILES_AHEAD = 256
_ATTEMPTS = 3
_PAUSE_SECONDS = 0.5


@dataclass(slots=True)
class Copied:
    """How many files the source holds, and their bytes; ``moved`` counts those that this run has written."""

    objects: int = 0
    bytes: int = 0
    moved: int = 0
    problems: list[str] = field(default_factory=list)


async def copy_artifacts(
    source: ArtifactStore, target: ArtifactStore, step: Step, only: Callable[[str], bool] | None = None
) -> Copied:
    """Copies every file of ``source`` whose path is wanted, and compares every size afterwards.

    What a server would not hand out (links that lead away, unfinished uploads) is not copied. Raises CopyFailed, and
    Refused after everything else was copied.
    """
    copied = Copied()
    copier = _Copier(source, target, copied, step, only)
    try:
        await copier.directory("")
    except* (MlflowError, OSError) as errors:
        raise CopyFailed(f"the artifacts could not be listed: {_first(errors)}") from errors
    except* (ForwardRequest, UnicodeEncodeError):
        raise CopyFailed("the artifacts have a folder whose name the storage cannot hold") from None
    if copied.problems:
        raise Refused("these artifacts could not be copied; the others were:", copied.problems)
    return copied


class _Copier:
    def __init__(
        self,
        source: ArtifactStore,
        target: ArtifactStore,
        copied: Copied,
        step: Step,
        only: Callable[[str], bool] | None,
    ) -> None:
        self._only = only
        self._source = source
        self._target = target
        self._copied = copied
        self._step = step
        self._any = asyncio.Semaphore(_AT_A_TIME)
        self._large = asyncio.Semaphore(_LARGE_AT_A_TIME)
        self._directories = asyncio.Semaphore(_DIRECTORIES_AT_A_TIME)

    async def directory(self, path: str, *, is_new: bool = False) -> None:
        """Copies what lies below ``path``; ``is_new`` tells that the target has nothing there yet."""
        async with self._directories:
            entries = await self._source.entries(path)
            present = [] if is_new else await self._target.entries(path)
            await self._files(path, [entry for entry in entries if not entry.is_directory], present)
        below = [entry.name for entry in entries if entry.is_directory]
        known = {entry.name for entry in present if entry.is_directory}
        # Not all at once: each holds the names in its directory.
        for index in range(0, len(below), _DIRECTORIES_AT_A_TIME):
            async with asyncio.TaskGroup() as group:
                for name in below[index : index + _DIRECTORIES_AT_A_TIME]:
                    group.create_task(self.directory(posixpath.join(path, name), is_new=name not in known))

    async def _files(self, path: str, files: list[Entry], present: list[Entry]) -> None:
        if self._only is not None:
            files = [entry for entry in files if self._only(posixpath.join(path, entry.name))]
        sizes = {entry.name: entry.size for entry in present}
        missing = [entry for entry in files if sizes.get(entry.name) != entry.size]
        self._count([entry for entry in files if sizes.get(entry.name) == entry.size])
        failed: set[str] = set()
        for index in range(0, len(missing), _FILES_AHEAD):
            async with asyncio.TaskGroup() as group:
                for entry in missing[index : index + _FILES_AHEAD]:
                    group.create_task(self._file(path, entry, failed))
        if not missing:
            return
        sizes = {entry.name: entry.size for entry in await self._target.entries(path)}
        for entry in missing:
            if entry.name not in failed and sizes.get(entry.name) != entry.size:
                self._copied.problems.append(
                    f"{posixpath.join(path, entry.name)}: {entry.size} bytes in the source, but"
                    f" {sizes.get(entry.name)} in the target"
                )

    async def _file(self, directory: str, entry: Entry, failed: set[str]) -> None:
        path = posixpath.join(directory, entry.name)
        is_large = (entry.size or 0) > _LARGE
        async with self._any:
            if is_large:
                async with self._large:
                    done = await self._attempt(path, entry)
            else:
                done = await self._attempt(path, entry)
        if done is None:
            self._copied.moved += 1
            self._count([entry])
        else:
            failed.add(entry.name)
            self._copied.problems.append(f"{path}: {done}")

    async def _attempt(self, path: str, entry: Entry) -> str | None:
        """Copies one file; returns why it could not be, or None."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                opened = await self._source.open(path)
                await self._target.put(path, opened.chunks, opened.details.size)
            except ForwardRequest:
                return "a name that the storage cannot hold"
            except UnicodeEncodeError:
                return "a name that is not UTF-8"
            except (MlflowError, OSError) as error:
                if attempt == _ATTEMPTS:
                    return str(error)
                await asyncio.sleep(_PAUSE_SECONDS * attempt)
            else:
                return None
        return None

    def _count(self, entries: list[Entry]) -> None:
        self._copied.objects += len(entries)
        self._copied.bytes += sum(entry.size or 0 for entry in entries)
        if entries:
            self._step.advance(len(entries))


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
