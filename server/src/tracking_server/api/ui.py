"""The UI's page and files, as mlflow/server/__init__.py serves them, but compressed and kept by browsers."""

from __future__ import annotations

import re

from tracking_server.api.downloads import matches_etag
from tracking_server.errors import ForwardRequest
from tracking_server.services import Services
from tracking_server.ui_files import UiFile
from tracking_server.web import Answer, Request, Response, text_response

_FOR_EVER = b"public, max-age=31536000, immutable"
_ASK_AGAIN = b"no-cache"
_NOT_FOUND = (
    "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n"
    "<p>The requested URL was not found on the server. If you entered the URL manually please check your spelling"
    " and try again.</p>\n"
)
_GZIP = re.compile(r"(?:^|,)\s*(?:x-)?gzip\s*(?:;\s*q=([0-9.]+)\s*)?(?=,|$)", re.IGNORECASE)


async def index(request: Request, services: Services) -> Answer:
    """GET /: the page. Its links are relative, so it needs no rewriting for a static prefix."""
    return await _answer(request, services, "index.html")


async def static_file(request: Request, services: Services) -> Answer:
    """GET /static-files/{path}: a file of the page."""
    return await _answer(request, services, request.path_params["path"])


async def build_file(request: Request, services: Services) -> Answer:
    """GET /build/{filename}: the same files, under the path that Flask gives its static folder."""
    return await _answer(request, services, request.path_params["filename"])


async def _answer(request: Request, services: Services, name: str) -> Answer:
    if not services.ui_files:
        raise ForwardRequest("ui-files")
    file = await services.ui_files.get(name)
    if file is None:
        return text_response(_NOT_FOUND, 404)
    zipped = file.zipped is not None and _accepts_gzip(request)
    etag = f'"{file.etag}-gzip"' if zipped else f'"{file.etag}"'
    headers = [
        (b"etag", etag.encode()),
        (b"cache-control", _FOR_EVER if file.hashed else _ASK_AGAIN),
        *_encoding_headers(file, zipped=zipped),
    ]
    condition = request.header(b"if-none-match")
    if condition is not None and matches_etag(condition, etag.encode()):
        return Response(304, b"", headers)
    headers += [(b"content-type", file.content_type.encode()), (b"x-content-type-options", b"nosniff")]
    return Response(200, await file.body(zipped=zipped), headers)


def _encoding_headers(file: UiFile, *, zipped: bool) -> list[tuple[bytes, bytes]]:
    headers = [(b"vary", b"Accept-Encoding")] if file.zipped is not None else []
    return [*headers, (b"content-encoding", b"gzip")] if zipped else headers


def _accepts_gzip(request: Request) -> bool:
    match = _GZIP.search((request.header(b"accept-encoding") or b"").decode("latin-1"))
    if match is None:
        return False
    try:
        return float(match[1] or 1) > 0
    except ValueError:
        return False
