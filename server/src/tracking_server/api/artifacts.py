"""Artifacts that a run, a model version or a logged model names; mlflow/server/handlers.py.

Natively only where the owner's artifact root is proxied by this server or lies inside its destination.
"""

from __future__ import annotations

import posixpath
from collections.abc import AsyncIterator
from urllib.parse import urlparse

from tracking_server.api.artifact_proxy import json_response, listing
from tracking_server.api.decoding import decode, query_parameters
from tracking_server.api.downloads import download
from tracking_server.api.messages import Message
from tracking_server.api.rules import Rules, required, string
from tracking_server.artifacts.paths import safe_path
from tracking_server.errors import ErrorCode, ForwardRequest, MlflowError, invalid_parameter
from tracking_server.services import Services
from tracking_server.store import artifact_roots
from tracking_server.web import Answer, Request, Response

_LARGEST_UI_UPLOAD = 10 * 1024 * 1024
_TOO_LARGE = "Artifact size is too large. Max size is 10MB."


class _ListOfRun(Message):
    run_id: str | None = None
    run_uuid: str | None = None
    path: str | None = None
    page_token: str | None = None


class _ListOfModel(Message):
    model_id: str | None = None
    artifact_directory_path: str | None = None
    page_token: str | None = None


_LIST_RULES: Rules = {"run_id": [string, required], "path": [string], "page_token": [string]}
_LIST_OF_MODEL_RULES: Rules = {"artifact_directory_path": [string]}


async def list_artifacts(request: Request, services: Services) -> Answer:
    """GET artifacts/list: what is directly below a directory of a run."""
    message = await decode(request, _ListOfRun, _LIST_RULES)
    path = None if message.path is None else safe_path(message.path)
    run_id = message.run_id or message.run_uuid or ""
    root = await services.database.read(lambda connection: artifact_roots.of_run(connection, run_id))
    return await _list(services, root.uri, path)


async def list_logged_model_artifacts(request: Request, services: Services) -> Answer:
    """GET logged-models/{model_id}/artifacts/directories: what is directly below a directory of a logged model."""
    message = await decode(request, _ListOfModel, _LIST_OF_MODEL_RULES)
    directory = message.artifact_directory_path
    path = None if directory is None else safe_path(directory)
    model_id = request.path_params["model_id"]
    root = await services.database.read(lambda connection: artifact_roots.of_logged_model(connection, model_id))
    return await _list(services, root, path)


async def get_artifact(request: Request, services: Services) -> Answer:
    """GET /get-artifact: a file of a run."""
    run_id = _parameter(request, "run_id") or _parameter(request, "run_uuid")
    path = safe_path(_required_parameter(request, "path"))
    root = await services.database.read(lambda connection: artifact_roots.of_run(connection, run_id))
    return await _download(request, services, root.uri, path)


async def get_model_version_artifact(request: Request, services: Services) -> Answer:
    """GET /model-versions/get-artifact: a file of a model version."""
    name, version = _parameter(request, "name"), _parameter(request, "version")
    path = safe_path(_required_parameter(request, "path"))
    _check_model_name(name)
    number = _model_version(version)
    if services.config.database.registry_is_separate:
        raise ForwardRequest("registry-uri")
    root = await services.database.read(
        lambda connection: artifact_roots.of_model_version(connection, name or "", number)
    )
    return await _download(request, services, root, path)


async def get_logged_model_artifact(request: Request, services: Services) -> Answer:
    """GET logged-models/{model_id}/artifacts/files: a file of a logged model."""
    path = _parameter(request, "artifact_file_path")
    if not path:
        raise MlflowError('Request must include the "artifact_file_path" query parameter.', ErrorCode.BAD_REQUEST)
    path = safe_path(path)
    model_id = request.path_params["model_id"]
    root = await services.database.read(lambda connection: artifact_roots.of_logged_model(connection, model_id))
    return await _download(request, services, root, path)


async def upload_artifact(request: Request, services: Services) -> Answer:
    """POST upload-artifact: a small file that the UI writes into a run."""
    run_id = _parameter(request, "run_uuid")
    if not run_id:
        raise invalid_parameter("Request must specify run_uuid.")
    path = _parameter(request, "path")
    if not path:
        raise invalid_parameter("Request must specify path.")
    path = safe_path(path)
    data = await _small_body(request)
    root = await services.database.read(lambda connection: artifact_roots.of_run(connection, run_id))
    if urlparse(root.uri).scheme in ("http", "https", "mlflow-artifacts") and services.artifacts.served:
        # Stock writes there whatever the run's own root is.
        path = posixpath.join(root.experiment_id, run_id, "artifacts", path)
        store = services.artifacts.store
    else:
        location = services.artifacts.locate(root.uri)
        store, path = location.store, location.path(path)
    await store.put(path, _once(data), len(data))
    return Response()


async def _list(services: Services, root: str, path: str | None) -> Answer:
    location = services.artifacts.locate(root)
    files = listing(await location.store.entries(location.path(path)), path or "")
    return json_response({"root_uri": root} | ({"files": files} if files else {}))


async def _download(request: Request, services: Services, root: str, path: str) -> Answer:
    location = services.artifacts.locate(root)
    # Clients write below a root by its URL, so a percent sign in it is decoded there and must be here.
    return await download(request, location.store, safe_path(location.path(path)))


async def _small_body(request: Request) -> bytes:
    declared = request.header(b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > _LARGEST_UI_UPLOAD:
        raise invalid_parameter(_TOO_LARGE)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_UI_UPLOAD:
            raise invalid_parameter(_TOO_LARGE)
    if not body:
        raise invalid_parameter("Request must specify data.")
    return bytes(body)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _parameter(request: Request, name: str) -> str | None:
    """The first value of a query parameter."""
    values = query_parameters(request.query_string).get(name)
    return values[0] if values else None


def _required_parameter(request: Request, name: str) -> str:
    value = _parameter(request, name)
    if value is None:
        raise MlflowError(f'Request must include the "{name}" query parameter.', ErrorCode.BAD_REQUEST)
    return value


def _check_model_name(name: str | None) -> None:
    # mlflow/utils/validation.py, _validate_model_name
    if name is None or not name.strip():
        raise invalid_parameter("Missing value for required parameter 'name'.")
    if "/" in name or ":" in name:
        raise invalid_parameter(f"Invalid model name '{name}'. Names cannot contain '/' or ':'.")


def _model_version(version: str | None) -> int:
    try:
        return int(version or "")
    except ValueError:
        raise invalid_parameter(f"Parameter 'version' must be an integer, got '{version}'.") from None
