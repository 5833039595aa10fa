"""A stored artifact as an HTTP answer: content type, file name, ranges and conditions.

Types and names follow mlflow/utils/mime_type_utils.py and mlflow/server/handlers.py; ranges and conditions RFC 9110,
for every storage alike, where stock knows them for local files only.
"""

from __future__ import annotations

import mimetypes
import posixpath
import re
import unicodedata
from collections.abc import AsyncIterator
from email.utils import formatdate, parsedate_to_datetime
from urllib.parse import quote

from tracking_server.artifacts.store import ArtifactStore, Details, OpenArtifact
from tracking_server.web import Answer, Request, Response, StreamingResponse

_TEXT_EXTENSIONS = re.compile(
    "txt|log|err|cfg|conf|cnf|cf|ini|properties|prop|hocon|toml|yaml|yml|xml|json|js|py|py3|csv|tsv|md|rst|ipynb"
    "|MLmodel|mlproject"
)
_TOKEN = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z|~]+")
# RFC 5987, attr-char.
_UNQUOTED = "!#$&+-.^_`|~"
_RANGE = re.compile(r"bytes=[ \t]*(\d*)-(\d*)[ \t]*", re.ASCII | re.IGNORECASE)
_ENTITY_TAG = re.compile(rb'(?:W/)?("[^"]*")')

Headers = tuple[tuple[bytes, bytes], ...]


async def download(request: Request, store: ArtifactStore, path: str) -> Answer:
    """The file ``path`` of ``store`` as an attachment. Raises as ``ArtifactStore.open`` does."""
    if request.method == "HEAD":
        details = await store.head(path)
        return StreamingResponse(200, _headers(path, details, details.size), _nothing())
    conditional = any(request.header(name) for name in (b"range", b"if-none-match", b"if-modified-since"))
    if not conditional:
        return _whole(path, await store.open(path))
    details = await store.head(path)
    if _is_unchanged(request, details):
        return Response(304, b"", _validators(details))
    span = _span(request, details)
    if span is None:
        return _whole(path, await store.open(path))
    start, stop = span
    if start >= stop:
        return Response(416, b"", ((b"content-range", b"bytes */%d" % details.size),))
    opened = await store.open(path, span)
    if opened.details != details:
        # Replaced between the two calls: the range was chosen for another content.
        await _close(opened)
        return _whole(path, await store.open(path))
    content_range = (b"content-range", b"bytes %d-%d/%d" % (opened.start, opened.stop - 1, details.size))
    headers = (*_headers(path, details, opened.stop - opened.start), content_range)
    return StreamingResponse(206, headers, opened.chunks)


def guess_type(name: str) -> str:
    """The content type of a file of this name."""
    name = posixpath.basename(name.rstrip("/"))
    # A name without extension counts as its own: MLmodel.
    extension = posixpath.splitext(name)[1].replace(".", "") or name
    if _TEXT_EXTENSIONS.fullmatch(extension):
        return "text/plain"
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def attachment(name: str) -> str:
    """The Content-Disposition under which a file of this name is saved."""
    if name.isascii():
        return f"attachment; filename={_quoted(name)}"
    fallback = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii") or "download"
    return f"attachment; filename={_quoted(fallback)}; filename*=UTF-8''{quote(name, safe=_UNQUOTED)}"


def _quoted(text: str) -> str:
    if _TOKEN.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _whole(path: str, opened: OpenArtifact) -> StreamingResponse:
    return StreamingResponse(200, _headers(path, opened.details, opened.details.size), opened.chunks)


def _headers(path: str, details: Details, length: int) -> Headers:
    name = posixpath.basename(path)
    return (
        (b"content-type", guess_type(path).encode("latin-1")),
        (b"content-disposition", attachment(name).encode("latin-1")),
        (b"content-length", str(length).encode()),
        (b"accept-ranges", b"bytes"),
        # What a client uploaded must never run as a page of this server.
        (b"x-content-type-options", b"nosniff"),
        *_validators(details),
    )


def _validators(details: Details) -> Headers:
    return (
        (b"etag", details.etag.encode("latin-1")),
        (b"last-modified", formatdate(details.modified, usegmt=True).encode()),
        (b"cache-control", b"no-cache"),
    )


def _is_unchanged(request: Request, details: Details) -> bool:
    if_none_match = request.header(b"if-none-match")
    if if_none_match is not None:
        return matches_etag(if_none_match, details.etag.encode("latin-1"))
    moment = _moment(request.header(b"if-modified-since"))
    return moment is not None and int(details.modified) <= moment


def matches_etag(header: bytes, etag: bytes) -> bool:
    """Whether an If-None-Match header names this quoted entity tag, compared weakly."""
    return header.strip() == b"*" or etag.removeprefix(b"W/") in _ENTITY_TAG.findall(header)


def _span(request: Request, details: Details) -> tuple[int, int] | None:
    """The bytes asked for, empty if there are none such; None for all of them.

    A header that is malformed or names several ranges is ignored, as RFC 9110 allows.
    """
    match = _RANGE.fullmatch((request.header(b"range") or b"").decode("latin-1"))
    if match is None or match.group(1) == match.group(2) == "" or not _may_resume(request, details):
        return None
    first, last = match.groups()
    if not first:
        return max(0, details.size - int(last)), details.size
    start = int(first)
    if last and int(last) < start:
        return None
    return start, min(int(last) + 1, details.size) if last else details.size


def _may_resume(request: Request, details: Details) -> bool:
    condition = request.header(b"if-range")
    if condition is None:
        return True
    if condition.startswith(b'"'):
        return condition == details.etag.encode("latin-1")
    return _moment(condition) == int(details.modified)


def _moment(date: bytes | None) -> int | None:
    """An HTTP date in seconds since 1970; None if it is none."""
    try:
        return None if date is None else int(parsedate_to_datetime(date.decode("latin-1")).timestamp())
    except ValueError:
        return None


async def _close(opened: OpenArtifact) -> None:
    close = getattr(opened.chunks, "aclose", None)
    if close is not None:
        await close()


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
