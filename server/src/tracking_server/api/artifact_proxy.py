"""The ``mlflow-artifacts`` API: clients read and write the artifact destination through this server.

Follows mlflow/server/artifact_router.py and the ``mlflow_artifacts`` handlers of mlflow/server/handlers.py.
"""

from __future__ import annotations

import functools
import posixpath
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec

from tracking_server.api.decoding import decode
from tracking_server.api.downloads import download
from tracking_server.api.messages import Int64, Message, RequiredText
from tracking_server.api.rules import Rules, intlike, required, string
from tracking_server.artifacts.paths import safe_path
from tracking_server.artifacts.s3 import S3BucketStore
from tracking_server.artifacts.store import ArtifactIsDirectory, Entry
from tracking_server.errors import ErrorCode, MlflowError, invalid_parameter
from tracking_server.services import Services
from tracking_server.web import Answer, Request, Response, text_response

Handler = Callable[[Request, Services], Awaitable[Answer]]
_MOST_PARTS = 10_000


class _List(Message):
    path: str | None = None


class _Part(Message):
    part_number: Int64 | None = None
    etag: str | None = None
    url: str | None = None


class _CreateMultipart(Message):
    path: RequiredText
    num_parts: Int64 | None = None


class _CompleteMultipart(Message):
    path: RequiredText
    parts: list[_Part]
    upload_id: str | None = None


class _AbortMultipart(Message):
    path: RequiredText
    upload_id: str | None = None


_CREATE_RULES: Rules = {"path": [required, string], "num_parts": [intlike]}
_COMPLETE_RULES: Rules = {"path": [required, string], "upload_id": [string], "parts": [required]}
_ABORT_RULES: Rules = {"path": [required, string], "upload_id": [string]}


def listing(entries: list[Entry], directory: str = "") -> list[dict[str, object]]:
    """FileInfo objects as stock writes them: an empty file has no size."""
    files: list[dict[str, object]] = []
    for entry in entries:
        file: dict[str, object] = {"path": posixpath.join(directory, entry.name), "is_dir": entry.is_directory}
        if entry.size:
            file["file_size"] = entry.size
        files.append(file)
    return files


def json_response(value: object) -> Response:
    """A JSON answer with status 200."""
    return Response(body=msgspec.json.encode(value))


def _detail(status: int, text: str) -> Response:
    """An error in the shape of stock's FastAPI routes."""
    return Response(status, msgspec.json.encode({"detail": text}))


def _when_served(rule: str) -> Callable[[Handler], Handler]:
    """Answers 503 as stock does where artifacts are not served; ``rule`` is the route as Flask writes it."""

    def decorate(handler: Handler) -> Handler:
        @functools.wraps(handler)
        async def guarded(request: Request, services: Services) -> Answer:
            if services.artifacts.served:
                return await handler(request, services)
            base = request.path.partition("/mlflow-artifacts/")[0]
            return text_response(
                f"Endpoint: {base}/mlflow-artifacts/{rule} disabled due to the mlflow server running with"
                " `--no-serve-artifacts`. To enable artifacts server functionality, run `mlflow server` with"
                " `--serve-artifacts`",
                503,
            )

        return guarded

    return decorate


def _when_served_by_fastapi(handler: Handler) -> Handler:
    @functools.wraps(handler)
    async def guarded(request: Request, services: Services) -> Answer:
        if services.artifacts.served:
            return await handler(request, services)
        return _detail(503, "Artifact serving is disabled. Run `mlflow server` with `--serve-artifacts` to enable.")

    return guarded


@_when_served_by_fastapi
async def download_artifact(request: Request, services: Services) -> Answer:
    """GET …/artifacts/{artifact_path}: the file, streamed."""
    path = safe_path(request.path_params["artifact_path"])
    try:
        return await download(request, services.artifacts.store, path)
    except ArtifactIsDirectory as error:
        return _detail(400, error.message)


@_when_served_by_fastapi
async def upload_artifact(request: Request, services: Services) -> Answer:
    """PUT …/artifacts/{artifact_path}: stores the body, whole or not at all."""
    path = safe_path(request.path_params["artifact_path"])
    if not posixpath.basename(path):
        return _detail(400, "Artifact path must include a filename (cannot end with '/').")
    size = _declared_size(request)
    await services.artifacts.store.put(path, _exactly(request.stream(), size), size)
    return Response(headers=())


@_when_served("artifacts")
async def list_artifacts(request: Request, services: Services) -> Answer:
    """GET …/artifacts?path=: what is directly below the directory."""
    message = await decode(request, _List, {})
    path = "" if message.path is None else safe_path(message.path)
    files = listing(await services.artifacts.store.entries(path))
    return json_response({"files": files} if files else {})


@_when_served("artifacts/<path:artifact_path>")
async def delete_artifact(request: Request, services: Services) -> Answer:
    """DELETE …/artifacts/{artifact_path}: the file, or the directory with all below it."""
    await services.artifacts.store.delete(safe_path(request.path_params["artifact_path"]))
    return json_response({})


@_when_served("mpu/create/<path:artifact_path>")
async def create_multipart_upload(request: Request, services: Services) -> Answer:
    """POST …/mpu/create/{artifact_path}: presigned URLs for the parts of a large file."""
    directory = safe_path(request.path_params["artifact_path"])
    message = await decode(request, _CreateMultipart, _CREATE_RULES)
    parts = message.num_parts or 0
    if parts > _MOST_PARTS:
        raise invalid_parameter(f"Invalid value {parts} for parameter 'num_parts': at most {_MOST_PARTS} parts.")
    upload = await _multipart_store(services).create_multipart(_file(directory, message.path), parts)
    credentials = [{"url": url, "part_number": number} for number, url in enumerate(upload.part_urls, 1)]
    answer: dict[str, Any] = {"upload_id": upload.upload_id}
    return json_response(answer | {"credentials": credentials} if credentials else answer)


@_when_served("mpu/complete/<path:artifact_path>")
async def complete_multipart_upload(request: Request, services: Services) -> Answer:
    """POST …/mpu/complete/{artifact_path}: makes one file of the uploaded parts."""
    directory = safe_path(request.path_params["artifact_path"])
    message = await decode(request, _CompleteMultipart, _COMPLETE_RULES)
    etags = {part.part_number or 0: part.etag or "" for part in message.parts}
    store = _multipart_store(services)
    await store.complete_multipart(_file(directory, message.path), message.upload_id or "", etags)
    return json_response({})


@_when_served("mpu/abort/<path:artifact_path>")
async def abort_multipart_upload(request: Request, services: Services) -> Answer:
    """POST …/mpu/abort/{artifact_path}: drops the uploaded parts."""
    directory = safe_path(request.path_params["artifact_path"])
    message = await decode(request, _AbortMultipart, _ABORT_RULES)
    await _multipart_store(services).abort_multipart(_file(directory, message.path), message.upload_id or "")
    return json_response({})


@_when_served("presigned/<path:artifact_path>")
async def presigned_download_url(request: Request, services: Services) -> Answer:
    """GET …/presigned/{artifact_path}: a URL at which the storage itself answers with the file."""
    path = safe_path(request.path_params["artifact_path"])
    store, seconds = services.artifacts.store, services.artifacts.presigned_seconds
    if seconds is None or not isinstance(store, S3BucketStore):
        raise MlflowError(
            "Multipart download is not supported for the current artifact repository", ErrorCode.NOT_IMPLEMENTED
        )
    url, details = await store.presign_download(path, seconds)
    return json_response({"url": url, "headers": {}, "file_size": details.size})


def _multipart_store(services: Services) -> S3BucketStore:
    store = services.artifacts.store
    if services.artifacts.presigned_seconds is None or not isinstance(store, S3BucketStore):
        raise MlflowError(
            "Multipart upload is not supported for the current artifact repository", ErrorCode.NOT_IMPLEMENTED
        )
    return store


def _file(directory: str, path: str) -> str:
    return posixpath.join(directory, posixpath.basename(path))


def _declared_size(request: Request) -> int | None:
    declared = request.header(b"content-length")
    return int(declared) if declared is not None and declared.isdigit() else None


async def _exactly(chunks: AsyncIterator[bytes], size: int | None) -> AsyncIterator[bytes]:
    """The chunks. Raises MlflowError at the end when they are not the ``size`` bytes that were announced."""
    received = 0
    async for chunk in chunks:
        received += len(chunk)
        yield chunk
    if size is not None and received != size:
        raise MlflowError(f"The body ended after {received} of {size} bytes.", ErrorCode.BAD_REQUEST)
