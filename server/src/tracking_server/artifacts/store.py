"""The contract of a place that keeps artifacts: listing, reading, writing and deleting by relative path.

``disk`` and ``objects`` answer it. Paths are POSIX paths below the store's root that passed ``paths.safe_path``.
Bodies move chunk by chunk: no operation holds a whole artifact in memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from tracking_server.errors import MlflowError, does_not_exist, invalid_parameter

CHUNK_SIZE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """What a listing says of one file or directory; ``size`` is in bytes and None for a directory."""

    name: str
    is_directory: bool
    size: int | None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file's path, relative to its store, and its size in bytes."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Details:
    """A stored artifact's size in bytes, its time of change (seconds since 1970) and its quoted entity tag."""

    size: int
    modified: float
    etag: str


@dataclass(slots=True)
class OpenArtifact:
    """An artifact being read: its details, the first byte and the one after the last, and the bytes between."""

    details: Details
    start: int
    stop: int
    chunks: AsyncIterator[bytes]


class ArtifactIsDirectory(MlflowError):
    """A directory was asked for where only a file can be answered."""

    def __init__(self, path: str) -> None:
        error = invalid_parameter(f"Artifact path refers to a directory, not a file: '{path}'")
        super().__init__(error.message, error.code)


class ArtifactStore(Protocol):
    """A directory on disk or below a bucket's prefix.

    Every method raises MlflowError for what the client did wrong, Unavailable when the storage is away and
    ForwardRequest, before it changed anything, for a path that this store cannot express.
    """

    def child(self, path: str) -> ArtifactStore:
        """The store rooted at the directory ``path`` of this one."""
        ...

    async def entries(self, path: str) -> list[Entry]:
        """The entries directly below the directory ``path``, by name; empty for a file or nothing."""
        ...

    def walk(self, path: str) -> AsyncIterator[list[StoredFile]]:
        """All files below the directory ``path``, at any depth, in pages; none for a file or nothing.

        Raises ForwardRequest in the middle where a file has a name that this store cannot express.
        """
        ...

    async def head(self, path: str) -> Details:
        """Raises RESOURCE_DOES_NOT_EXIST, or ArtifactIsDirectory."""
        ...

    async def open(self, path: str, span: tuple[int, int] | None = None) -> OpenArtifact:
        """Opens a file, or the bytes from ``span[0]`` up to ``span[1]`` of it. Raises as ``head`` does."""
        ...

    async def put(self, path: str, chunks: AsyncIterator[bytes], size: int | None) -> None:
        """Stores the chunks as one file that is seen whole or not at all; ``size`` is the expected total, if known.

        When ``chunks`` raises, or the caller is cancelled, nothing stays behind.
        """
        ...

    async def delete(self, path: str) -> None:
        """Deletes a file, or a directory with all below it; it is no error when there is nothing."""
        ...

    async def delete_files(self, paths: Sequence[str]) -> None:
        """Deletes files, of which some may be missing; a bucket takes 1,000 in one call."""
        ...

    async def check(self) -> None:
        """Raises Unavailable when the storage cannot be reached."""
        ...


@dataclass(frozen=True, slots=True)
class MultipartUpload:
    """An upload that the client sends to the storage itself, part by part, to presigned URLs."""

    upload_id: str
    part_urls: Sequence[str]


def no_such_artifact(path: str) -> MlflowError:
    """Stock's answer for a missing file (mlflow/store/artifact/local_artifact_repo.py)."""
    return does_not_exist(f"No such artifact: '{path}'")
