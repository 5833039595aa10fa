"""Artifacts in a directory of a local file system, laid out as mlflow/store/artifact/local_artifact_repo.py does."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import os
import posixpath
import secrets
import shutil
import stat
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from tracking_server.artifacts.paths import check_directory
from tracking_server.artifacts.store import (
    CHUNK_SIZE,
    ArtifactIsDirectory,
    Details,
    Entry,
    OpenArtifact,
    StoredFile,
    no_such_artifact,
)
from tracking_server.errors import ErrorCode, MlflowError, Unavailable, invalid_parameter

# Stock hides names with this prefix too, so neither server shows the other's unfinished uploads.
_UNFINISHED = ".artifact.uploading."
_IMPOSSIBLE_NAME = {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ELOOP}
_PAGE = 1000
_STORAGE_FULL = {errno.ENOSPC, errno.EDQUOT}

T = TypeVar("T")


class DiskStore:
    """Files below ``root``. Symbolic links are followed as long as they stay below it."""

    def __init__(self, root: Path, writer: str = "server") -> None:
        """``writer`` stands in the names of unfinished uploads, for those who must tell theirs from others'."""
        self._root = root
        self._writer = writer

    def child(self, path: str) -> DiskStore:
        return DiskStore(self._root / path, self._writer) if path else self

    def written_by(self, writer: str) -> DiskStore:
        """The same files, written as ``writer``."""
        return DiskStore(self._root, writer)

    async def discard_unfinished(self) -> None:
        """Deletes what killed uploads of this writer have left, of which none may be running."""
        await _on_thread(self._discard_unfinished)

    async def entries(self, path: str) -> list[Entry]:
        return await _on_thread(self._entries, path)

    async def walk(self, path: str) -> AsyncIterator[list[StoredFile]]:
        pages = self._pages(path)
        while page := await _on_thread(next, pages, []):
            yield page

    async def head(self, path: str) -> Details:
        return await _on_thread(self._head, path)

    async def open(self, path: str, span: tuple[int, int] | None = None) -> OpenArtifact:
        return await _on_thread(self._open, path, span)

    async def put(self, path: str, chunks: AsyncIterator[bytes], size: int | None) -> None:
        upload = _Upload(path, self._writer)
        try:
            pending: list[bytes] = []
            waiting = 0
            async for chunk in chunks:
                pending.append(chunk)
                waiting += len(chunk)
                if waiting >= CHUNK_SIZE:
                    await _on_thread(self._write, upload, pending)
                    pending, waiting = [], 0
            await _on_thread(self._finish, upload, pending)
        except BaseException:
            # Cancelled, too: the client went away.
            if upload.begun:
                await _on_thread(upload.discard)
            raise

    async def delete(self, path: str) -> None:
        await _on_thread(self._delete, path)

    async def delete_files(self, paths: Sequence[str]) -> None:
        await _on_thread(self._delete_files, paths)

    async def check(self) -> None:
        await _on_thread(self._check)

    def _locate(self, path: str) -> Path:
        """The real path of ``path``, which may not exist. Raises INVALID_PARAMETER_VALUE when it leaves the root."""
        root = self._root.resolve()
        # As text first: "a/../b" is b even where a is a link.
        real = (root / os.path.normpath(path)).resolve()
        if not real.is_relative_to(root):
            raise invalid_parameter("Invalid path: resolved path is outside the artifact directory")
        return real

    def _entries(self, path: str) -> list[Entry]:
        with _translated(path):
            directory = self._locate(path)
            if not directory.is_dir():
                return []
            with os.scandir(directory) as found:
                entries = [self._entry(path, item) for item in found if not item.name.startswith(_UNFINISHED)]
        return sorted((entry for entry in entries if entry is not None), key=lambda entry: entry.name)

    def _pages(self, path: str) -> Iterator[list[StoredFile]]:
        page: list[StoredFile] = []
        with _translated(path):
            root = self._root.resolve()
            # Links are not followed: what they lead to is stored elsewhere.
            for folder, _, names in os.walk(self._locate(path), onerror=_raise_unless_missing):
                for name in names:
                    file = Path(folder, name)
                    page.append(StoredFile(file.relative_to(root).as_posix(), file.lstat().st_size))
                    if len(page) == _PAGE:
                        yield page
                        page = []
        if page:
            yield page

    def _entry(self, path: str, item: os.DirEntry[str]) -> Entry | None:
        try:
            if item.is_symlink():
                self._locate(posixpath.join(path, item.name))
            status = item.stat()
        except (MlflowError, OSError, RuntimeError):
            # A link that leads out, nowhere or in a circle, or a file deleted meanwhile: nothing a client could read.
            return None
        if stat.S_ISDIR(status.st_mode):
            return Entry(item.name, True, None)
        return Entry(item.name, False, status.st_size)

    def _head(self, path: str) -> Details:
        with _translated(path):
            return _details(self._locate(path).stat(), path)

    def _open(self, path: str, span: tuple[int, int] | None) -> OpenArtifact:
        with _translated(path):
            real = self._locate(path)
            _details(real.stat(), path)
            # The path is resolved: a link here was put in place a moment ago. A pipe must not block the thread.
            file = io.FileIO(os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK))
        details = _details(os.fstat(file.fileno()), path)
        start, stop = span or (0, details.size)
        file.seek(start)
        reader = _Reader(file, stop - start)
        reader.read_ahead()
        return OpenArtifact(details, start, stop, reader)

    def _write(self, upload: _Upload, chunks: list[bytes]) -> None:
        if not upload.begun:
            self._begin(upload)
        upload.write(chunks)

    def _finish(self, upload: _Upload, chunks: list[bytes]) -> None:
        self._write(upload, chunks)
        upload.publish()

    def _begin(self, upload: _Upload) -> None:
        path = upload.path
        directory, name = posixpath.split(path)
        check_directory(directory)
        if not name or name in (".", ".."):
            raise invalid_parameter("Invalid path")
        if name.startswith(_UNFINISHED):
            raise invalid_parameter(
                f"Invalid artifact file name: '{name}'. Artifact names starting with '{_UNFINISHED}' are reserved."
            )
        with _translated(path, writing=True):
            self._root.mkdir(parents=True, exist_ok=True)
            target = self._locate(directory) / name
            if target.is_symlink():
                self._locate(path)
            if target.is_dir():
                raise ArtifactIsDirectory(path)
            upload.begin(target)

    def _delete(self, path: str) -> None:
        if os.path.normpath(path) == ".":
            raise invalid_parameter("Invalid path")
        directory, name = posixpath.split(os.path.normpath(path))
        with _translated(path), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            target = self._locate(directory) / name
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            else:
                target.unlink()

    def _delete_files(self, paths: Sequence[str]) -> None:
        for path in paths:
            self._delete(path)

    def _discard_unfinished(self) -> None:
        with _translated(""):
            for folder, _, names in os.walk(self._root):
                for name in names:
                    if name.startswith(f"{_UNFINISHED}{self._writer}."):
                        Path(folder, name).unlink(missing_ok=True)

    def _check(self) -> None:
        directory = _nearest_existing(self._root.resolve())
        if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
            raise Unavailable(f"The artifact directory '{self._root}' cannot be written.")


class _Reader:
    """The next ``remaining`` bytes of a file. Raises OSError when the file turns out shorter."""

    def __init__(self, file: io.FileIO, remaining: int) -> None:
        self._file = file
        self._remaining = remaining
        self._ahead = b""

    def read_ahead(self) -> None:
        """Reads the first chunk, so that a small file needs no second turn on a thread."""
        self._ahead = self._read()

    def __aiter__(self) -> _Reader:
        return self

    async def __anext__(self) -> bytes:
        chunk, self._ahead = self._ahead, b""
        if not chunk and self._remaining:
            chunk = await _on_thread(self._read)
        if not chunk:
            self._file.close()
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        self._file.close()

    def _read(self) -> bytes:
        chunk = self._file.read(min(CHUNK_SIZE, self._remaining)) or b""
        if not chunk and self._remaining:
            raise OSError(errno.EIO, "the artifact became shorter while it was read")
        self._remaining -= len(chunk)
        return chunk


class _Upload:
    """A file being written next to where it will stand, renamed into place when it is whole."""

    def __init__(self, path: str, writer: str) -> None:
        self.path = path
        self._writer = writer
        self._target = Path()
        self._unfinished = Path()
        self._file: io.FileIO | None = None

    @property
    def begun(self) -> bool:
        return self._file is not None

    def begin(self, target: Path) -> None:
        # Directories are only made for a complete upload: a broken one leaves none behind.
        directory = _nearest_existing(target.parent)
        self._target = target
        self._unfinished = directory / f"{_UNFINISHED}{self._writer}.{secrets.token_hex(8)}"
        self._file = io.FileIO(self._unfinished, "x")

    def write(self, chunks: list[bytes]) -> None:
        assert self._file is not None
        with _translated(self.path, writing=True):
            rest = memoryview(b"".join(chunks))
            while rest:
                rest = rest[self._file.write(rest) :]

    def publish(self) -> None:
        assert self._file is not None
        with _translated(self.path, writing=True):
            os.fsync(self._file.fileno())
            self._file.close()
            self._target.parent.mkdir(parents=True, exist_ok=True)
            self._unfinished.replace(self._target)
            _sync_directory(self._target.parent)

    def discard(self) -> None:
        if self._file is not None:
            self._file.close()
            self._unfinished.unlink(missing_ok=True)


async def _on_thread(work: Callable[..., T], *arguments: object) -> T:
    """Runs ``work`` on a thread. When cancelled, lets it finish first: it may be using a file."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()
        raise


def _nearest_existing(directory: Path) -> Path:
    while not directory.is_dir():
        if directory.exists():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), directory)
        directory = directory.parent
    return directory


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _details(status: os.stat_result, path: str) -> Details:
    if stat.S_ISDIR(status.st_mode):
        raise ArtifactIsDirectory(path)
    if not stat.S_ISREG(status.st_mode):
        raise no_such_artifact(path)
    return Details(status.st_size, status.st_mtime, f'"{status.st_mtime_ns:x}-{status.st_size:x}"')


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


@contextlib.contextmanager
def _translated(path: str, *, writing: bool = False) -> Iterator[None]:
    """The operating system's errors as MLflow's. A name that cannot exist is invalid to write, missing to read."""
    try:
        yield
    except FileNotFoundError:
        raise no_such_artifact(path) from None
    except RuntimeError:
        # pathlib's word for links in a circle, before Python 3.13.
        raise invalid_parameter("Invalid path") from None
    except PermissionError:
        raise MlflowError(f"The server may not access the artifact '{path}'.", ErrorCode.PERMISSION_DENIED) from None
    except OSError as error:
        if error.errno in _IMPOSSIBLE_NAME:
            if writing:
                raise invalid_parameter(f"Invalid artifact path: '{path}'. {os.strerror(error.errno or 0)}") from None
            raise no_such_artifact(path) from None
        if error.errno in _STORAGE_FULL:
            raise MlflowError("The artifact storage is full.", status=507) from error
        raise Unavailable("The artifact storage failed.") from error
