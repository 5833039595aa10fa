"""The UI's files: compressed, kept by browsers, and nothing but them."""

from __future__ import annotations

import asyncio
import gzip
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import mlflow
import pytest

from tracking_server.api import ui
from tracking_server.errors import ForwardRequest
from tracking_server.services import Services
from tracking_server.ui_files import UiFiles
from tracking_server.web import Request, Response

BUILD = Path(mlflow.__file__).parent / "server" / "js" / "build"
MAIN = next(BUILD.glob("static/js/main.*.js")).relative_to(BUILD)
STYLE = next(BUILD.glob("static/css/main.*.css")).relative_to(BUILD)
PICTURE = next(BUILD.glob("static/media/*.png")).relative_to(BUILD)


@pytest.fixture(scope="module")
def files() -> UiFiles:
    return UiFiles.of_installed_mlflow()


async def no_body() -> bytes:
    return b""


async def no_chunks() -> AsyncIterator[bytes]:
    return
    yield b""


async def fetch(files: UiFiles, name: str | None = None, **headers: str) -> tuple[int, bytes, dict[bytes, bytes]]:
    """The page, or the file ``name``."""
    sent = [(key.replace("_", "-").encode(), value.encode()) for key, value in headers.items()]
    request = Request("GET", "/", b"/", b"", sent, "id", no_body, no_chunks)
    # The handlers use nothing else of the services.
    services = cast(Services, SimpleNamespace(ui_files=files))
    if name is None:
        response = await ui.index(request, services)
    else:
        response = await ui.static_file(replace(request, path_params={"path": name}), services)
    assert isinstance(response, Response)
    return response.status, response.body, dict(response.headers)


async def test_the_page_is_asked_for_again(files: UiFiles) -> None:
    status, body, headers = await fetch(files)
    assert (status, body) == (200, (BUILD / "index.html").read_bytes())
    assert headers[b"content-type"] == b"text/html; charset=utf-8"
    assert headers[b"cache-control"] == b"no-cache"


@pytest.mark.parametrize("name", [MAIN, STYLE])
async def test_a_hashed_file_is_kept_for_ever_and_travels_compressed(files: UiFiles, name: Path) -> None:
    plain = (BUILD / name).read_bytes()
    status, body, headers = await fetch(files, str(name), accept_encoding="gzip, deflate, br")
    assert (status, gzip.decompress(body)) == (200, plain)
    assert len(body) < len(plain) / 3
    assert headers[b"content-encoding"] == b"gzip"
    assert headers[b"cache-control"] == b"public, max-age=31536000, immutable"
    assert headers[b"vary"] == b"Accept-Encoding"
    status, body, uncompressed = await fetch(files, str(name))
    assert (status, body) == (200, plain)
    assert b"content-encoding" not in uncompressed
    assert uncompressed[b"etag"] != headers[b"etag"]


async def test_a_picture_is_not_compressed_again(files: UiFiles) -> None:
    _, body, headers = await fetch(files, str(PICTURE), accept_encoding="gzip")
    assert body == (BUILD / PICTURE).read_bytes()
    assert headers[b"content-type"] == b"image/png"
    assert headers.keys().isdisjoint({b"content-encoding", b"vary"})


@pytest.mark.parametrize("name", ["manifest.json", "favicon.ico", "asset-manifest.json"])
async def test_a_file_whose_name_stays_is_asked_for_again(files: UiFiles, name: str) -> None:
    assert (await fetch(files, name))[2][b"cache-control"] == b"no-cache"


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [("gzip", True), ("br;q=1, gzip;q=0.5", True), ("GZIP", True), ("x-gzip", True), ("gzip;q=0", False),
     ("gzip; q=0.0", False), ("identity", False), ("", False), ("notgzip", False), ("gzip;q=x", False)],
)  # fmt: skip
async def test_what_the_browser_accepts_decides(files: UiFiles, accepted: str, compressed: bool) -> None:
    headers = (await fetch(files, str(STYLE), accept_encoding=accepted))[2]
    assert (b"content-encoding" in headers) is compressed


@pytest.mark.parametrize("accepted", ["gzip", "identity"])
async def test_a_file_that_the_browser_has_is_not_sent_again(files: UiFiles, accepted: str) -> None:
    etag = (await fetch(files, str(STYLE), accept_encoding=accepted))[2][b"etag"].decode()
    status, body, headers = await fetch(files, str(STYLE), accept_encoding=accepted, if_none_match=etag)
    assert (status, body, headers[b"etag"]) == (304, b"", etag.encode())
    assert (await fetch(files, str(STYLE), accept_encoding=accepted, if_none_match='"other"'))[0] == 200


@pytest.mark.parametrize(
    "name",
    ["", ".", "nothing", "static", "../handlers.py", "static/../../../handlers.py", "/etc/passwd", "index.html\0"],
)
async def test_nothing_else_can_be_had(files: UiFiles, name: str) -> None:
    status, body, headers = await fetch(files, name)
    assert status == 404
    assert b"<title>404 Not Found</title>" in body
    assert headers[b"content-type"] == b"text/html; charset=utf-8"


async def test_simultaneous_first_requests_get_one_body() -> None:
    fresh = UiFiles.of_installed_mlflow()
    found = await asyncio.gather(*(fresh.get(str(STYLE)) for _ in range(5)))
    assert len({id(file) for file in found}) == 1


async def test_without_the_files_stock_is_asked() -> None:
    with pytest.raises(ForwardRequest, match="ui-files"):
        await fetch(UiFiles(None))


def test_finding_the_files_does_not_import_mlflow() -> None:
    code = (
        "import sys; from tracking_server.ui_files import UiFiles; assert UiFiles.of_installed_mlflow();"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'mlflow']"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
