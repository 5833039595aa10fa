"""Artifacts as objects below a prefix of a bucket (S3, Google Cloud Storage, Azure), through obstore.

Keys and listings are those of mlflow/store/artifact/{s3,gcs,azure_blob}_artifact_repo.py.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import mimetypes
import posixpath
import re
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import obstore
from obstore.exceptions import BaseError, InvalidPathError
from obstore.store import AzureStore, GCSStore, S3Store

from tracking_server.artifacts.store import (
    CHUNK_SIZE,
    ArtifactIsDirectory,
    Details,
    Entry,
    OpenArtifact,
    StoredFile,
    no_such_artifact,
)
from tracking_server.errors import (
    ErrorCode,
    ForwardRequest,
    MlflowError,
    Unavailable,
    does_not_exist,
    invalid_parameter,
)

Bucket = S3Store | GCSStore | AzureStore

# S3 takes no smaller part but the last, and at most 10,000 of them.
_SMALLEST_PART = 5 * 1024 * 1024
_MOST_PARTS = 9_000
# Parts of this size reach 140 GiB when the client does not say how much will come.
_PART_OF_UNKNOWN_SIZE = 16 * 1024 * 1024
_PARTS_UNDER_WAY_SECONDS = 1.0
_BYTES_IN_FLIGHT = 16 * 1024 * 1024
_SETTLING_SECONDS = 0.1
_LISTED_AT_ONCE = 1000
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f]")
_ANSWER = re.compile(r"status code: (\d{3})[^:]*:?\s*(.*?)(?:\n\nDebug source:|\Z)", re.DOTALL)
_ANSWER_CODE = re.compile(r"<Code>([^<]*)</Code>")
_ANSWER_MESSAGE = re.compile(r"<Message>([^<]*)</Message>")
# mlflow/store/artifact/s3_artifact_repo.py, BOTO_TO_MLFLOW_ERROR.
_ERROR_CODES = {
    "AccessDenied": ErrorCode.PERMISSION_DENIED,
    "NoSuchBucket": ErrorCode.RESOURCE_DOES_NOT_EXIST,
    "NoSuchKey": ErrorCode.RESOURCE_DOES_NOT_EXIST,
    "InvalidAccessKeyId": ErrorCode.UNAUTHENTICATED,
    "SignatureDoesNotMatch": ErrorCode.UNAUTHENTICATED,
}


@functools.cache
def _settle_at_exit() -> None:
    # obstore's threads let go of Python objects just after a call has returned; Python ending then aborts the process.
    atexit.register(time.sleep, _SETTLING_SECONDS)


class _BrokenOff(Exception):
    """The client's upload ended before its end."""


class BucketStore:
    """Objects of ``bucket`` whose keys begin with ``prefix``, which neither begins nor ends with a slash."""

    def __init__(self, bucket: Bucket, prefix: str) -> None:
        _settle_at_exit()
        self._bucket = bucket
        self.prefix = prefix

    def child(self, path: str) -> BucketStore:
        return BucketStore(self._bucket, self.key(path.rstrip("/")) if path else self.prefix)

    def key(self, path: str) -> str:
        """The object's key. Raises ForwardRequest for a key that obstore would write another way."""
        key = posixpath.join(self.prefix, path)
        if any(segment in ("", ".", "..") for segment in key.split("/")) or _CONTROL_CHARACTER.search(key):
            raise ForwardRequest("artifact-path")
        return key

    async def entries(self, path: str) -> list[Entry]:
        path = path.rstrip("/")
        directory = self.key(path) if path else self.prefix
        with _translated(path):
            found = await obstore.list_with_delimiter_async(self._bucket, directory or None)
        skipped = len(directory) + 1 if directory else 0
        entries = [Entry(prefix[skipped:].rstrip("/"), True, None) for prefix in found["common_prefixes"]]
        # An object named like the directory itself is the marker that some tools write for it.
        entries += [
            Entry(item["path"][skipped:], False, item["size"]) for item in found["objects"] if item["path"] != directory
        ]
        return sorted(entries, key=lambda entry: entry.name)

    async def walk(self, path: str, after: str | None = None) -> AsyncIterator[list[StoredFile]]:
        """As ``ArtifactStore.walk``; ``after`` leaves out what the bucket lists up to that path."""
        path = path.rstrip("/")
        offset = None if after is None else self.key(after)
        directory = self.key(path) if path else self.prefix
        skipped = len(self.prefix) + 1 if self.prefix else 0
        with _translated(path):
            try:
                listing = obstore.list(self._bucket, directory or None, offset=offset, chunk_size=_LISTED_AT_ONCE)
                async for found in listing:
                    yield [StoredFile(item["path"][skipped:], item["size"]) for item in found]
            except InvalidPathError as error:
                raise ForwardRequest("artifact-path") from error

    async def head(self, path: str) -> Details:
        key = await self._file_key(path)
        try:
            with _translated(path):
                return _details(await obstore.head_async(self._bucket, key))
        except MlflowError as error:
            raise await self._explained(error, path) from None

    async def open(self, path: str, span: tuple[int, int] | None = None) -> OpenArtifact:
        key = await self._file_key(path)
        try:
            with _translated(path):
                options: obstore.GetOptions = {"range": span} if span else {}
                result = await obstore.get_async(self._bucket, key, options=options)
        except MlflowError as error:
            raise await self._explained(error, path) from None
        start, stop = result.range
        return OpenArtifact(_details(result.meta), start, stop, _chunks(result))

    async def put(self, path: str, chunks: AsyncIterator[bytes], size: int | None) -> None:
        if not posixpath.basename(path):
            raise invalid_parameter("Invalid path")
        key = self.key(path)
        part_size = _part_size(size)
        attributes = _attributes(path)
        first: list[bytes] = []
        gathered = 0
        async for chunk in chunks:
            first.append(chunk)
            gathered += len(chunk)
            if gathered > part_size:
                break
        with _translated(path):
            if gathered <= part_size:
                whole = b"".join(first)
                await obstore.put_async(self._bucket, key, whole, attributes=attributes, use_multipart=False)
                return
            queue: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=1)
            uploading = asyncio.ensure_future(
                obstore.put_async(
                    self._bucket,
                    key,
                    _taken_from(queue),
                    attributes=attributes,
                    chunk_size=part_size,
                    max_concurrency=max(1, _BYTES_IN_FLIGHT // part_size),
                )
            )
            try:
                await _feed(queue, b"".join(first), uploading)
                first.clear()
                async for block in _blocks(chunks):
                    await _feed(queue, block, uploading)
                await _feed(queue, b"", uploading)
                await asyncio.shield(uploading)
            except BaseException:
                if not uploading.done():
                    await _abort(queue, uploading)
                raise

    async def delete(self, path: str) -> None:
        path = path.rstrip("/")
        if not path:
            raise invalid_parameter("Invalid path")
        key = self.key(path)
        with _translated(path):
            with contextlib.suppress(FileNotFoundError):
                await obstore.head_async(self._bucket, key)
                await obstore.delete_async(self._bucket, key)
            async for found in obstore.list(self._bucket, key, chunk_size=_LISTED_AT_ONCE):
                await obstore.delete_async(self._bucket, [item["path"] for item in found])

    async def delete_files(self, paths: Sequence[str]) -> None:
        keys = [self.key(path) for path in paths]
        with _translated(f"{len(paths)} files"):
            await obstore.delete_async(self._bucket, keys)

    async def check(self) -> None:
        try:
            await self.entries("")
        except Unavailable:
            raise
        except MlflowError as error:
            raise Unavailable(error.message) from None

    async def _file_key(self, path: str) -> str:
        if path.rstrip("/") in ("", "."):
            raise ArtifactIsDirectory(path)
        if path.endswith("/"):
            raise await self._explained(no_such_artifact(path), path)
        return self.key(path)

    async def _explained(self, error: MlflowError, path: str) -> MlflowError:
        """A missing object may be a directory, which only a listing tells."""
        if error.code is ErrorCode.RESOURCE_DOES_NOT_EXIST and await self.entries(path):
            return ArtifactIsDirectory(path)
        return error


async def _blocks(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in fewer, larger pieces."""
    pending: list[bytes] = []
    waiting = 0
    async for chunk in chunks:
        pending.append(chunk)
        waiting += len(chunk)
        if waiting >= CHUNK_SIZE:
            yield b"".join(pending)
            pending, waiting = [], 0
    if pending:
        yield b"".join(pending)


async def _taken_from(queue: asyncio.Queue[bytes | None]) -> AsyncIterator[bytes]:
    """The queue's blocks up to the empty one. None breaks off."""
    while block := await queue.get():
        yield block
    if block is None:
        raise _BrokenOff


async def _feed(queue: asyncio.Queue[bytes | None], block: bytes, uploading: asyncio.Future[obstore.PutResult]) -> None:
    """Hands a block over; raises the upload's error when it has failed meanwhile."""
    putting = asyncio.ensure_future(queue.put(block))
    waiting: set[asyncio.Future[Any]] = {putting, uploading}
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        putting.cancel()
    if uploading.done():
        uploading.result()


async def _abort(queue: asyncio.Queue[bytes | None], uploading: asyncio.Future[obstore.PutResult]) -> None:
    """Takes back the parts already sent: obstore does so only when its source fails, not when it is cancelled."""
    # A store may keep a part that arrives while the upload is taken back, so what is under way may arrive first.
    await asyncio.sleep(_PARTS_UNDER_WAY_SECONDS)
    while not queue.empty():
        queue.get_nowait()
    queue.put_nowait(None)
    await asyncio.wait([uploading])
    if not uploading.cancelled():
        uploading.exception()


def _details(meta: obstore.ObjectMeta) -> Details:
    return Details(meta["size"], meta["last_modified"].timestamp(), meta["e_tag"] or f'"{meta["size"]:x}"')


async def _chunks(result: obstore.GetResult) -> AsyncIterator[bytes]:
    async for chunk in result.stream(min_chunk_size=CHUNK_SIZE):
        yield bytes(chunk)


def _part_size(size: int | None) -> int:
    if size is None:
        return _PART_OF_UNKNOWN_SIZE
    return max(_SMALLEST_PART, -(-size // _MOST_PARTS))


def _attributes(path: str) -> obstore.Attributes | None:
    """The content type and encoding that stock gives an object of this name."""
    content_type, encoding = mimetypes.guess_type(path)
    attributes: obstore.Attributes = {}
    if content_type is not None:
        attributes["Content-Type"] = content_type
    if encoding is not None:
        attributes["Content-Encoding"] = encoding
    return attributes or None


@contextlib.contextmanager
def _translated(path: str) -> Iterator[None]:
    """obstore's errors as MLflow's."""
    try:
        yield
    except (BaseError, FileNotFoundError) as error:
        answer = _ANSWER.search(str(error))
        if answer is None:
            raise Unavailable("The artifact storage cannot be reached.") from error
        raise refusal(path, int(answer[1]), answer[2]) from error


def refusal(path: str, status: int, body: str) -> MlflowError:
    """What a storage's error answer means to the client; its message is passed on, without addresses or keys."""
    code = _first(_ANSWER_CODE, body)
    if status == 404 and code in ("", "NoSuchKey", "BlobNotFound"):
        return no_such_artifact(path)
    if status >= 500 or status == 429:
        return Unavailable(f"The artifact storage answered {status}.")
    message = _first(_ANSWER_MESSAGE, body) or f"The artifact storage answered {status}."
    if code in _ERROR_CODES:
        return MlflowError(message, _ERROR_CODES[code])
    if status == 404:
        return does_not_exist(message)
    if status in (401, 403):
        return MlflowError(message, ErrorCode.UNAUTHENTICATED if status == 401 else ErrorCode.PERMISSION_DENIED)
    if status in (400, 409, 414, 416):
        return invalid_parameter(f"The artifact storage refused '{path}': {message}")
    return MlflowError(message)


def _first(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match[1] if match else ""
