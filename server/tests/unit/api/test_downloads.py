"""Ranges, conditions, names and types of downloads."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.server.handlers import _content_disposition_attachment
from mlflow.utils.mime_type_utils import _guess_mime_type

from tracking_server.api.downloads import attachment, download, guess_type, matches_etag
from tracking_server.artifacts.disk import DiskStore
from tracking_server.web import HeaderList, Request, Response, StreamingResponse

CONTENT = bytes(range(100))
MODIFIED = 1_700_000_000


@pytest.fixture
def store(tmp_path: Path) -> DiskStore:
    (tmp_path / "file.bin").write_bytes(CONTENT)
    (tmp_path / "empty").touch()
    for name in ("file.bin", "empty"):
        os.utime(tmp_path / name, (MODIFIED, MODIFIED))
    return DiskStore(tmp_path)


async def no_body() -> bytes:
    return b""


async def no_chunks() -> AsyncIterator[bytes]:
    return
    yield b""


def request(*headers: tuple[bytes, bytes], method: str = "GET") -> Request:
    return Request(method, "/", b"/", b"", headers, "id", no_body, no_chunks)


async def answer(
    store: DiskStore, *headers: tuple[bytes, bytes], name: str = "file.bin", method: str = "GET"
) -> tuple[int, bytes, dict[bytes, bytes]]:
    response = await download(request(*headers, method=method), store, name)
    sent: HeaderList = response.headers
    if isinstance(response, Response):
        return response.status, response.body, dict(sent)
    assert isinstance(response, StreamingResponse)
    return response.status, b"".join([chunk async for chunk in response.chunks]), dict(sent)


async def test_a_whole_file_carries_its_name_type_and_length(store: DiskStore) -> None:
    status, body, headers = await answer(store)
    assert (status, body) == (200, CONTENT)
    assert headers[b"content-length"] == b"100"
    assert headers[b"content-type"] == b"application/octet-stream"
    assert headers[b"content-disposition"] == b"attachment; filename=file.bin"
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"accept-ranges"] == b"bytes"


async def test_head_answers_the_same_headers_without_the_content(store: DiskStore) -> None:
    got, head = await answer(store), await answer(store, method="HEAD")
    assert head == (200, b"", got[2])


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        (b"bytes=0-0", 0, 0),
        (b"bytes=0-9", 0, 9),
        (b"bytes=90-", 90, 99),
        (b"bytes=90-1000", 90, 99),
        (b"bytes=-10", 90, 99),
        (b"bytes=-1000", 0, 99),
        (b"Bytes= 5-6 ", 5, 6),
    ],
)
async def test_a_range_is_answered_alone(store: DiskStore, wanted: bytes, first: int, last: int) -> None:
    status, body, headers = await answer(store, (b"range", wanted))
    assert (status, body) == (206, CONTENT[first : last + 1])
    assert headers[b"content-range"] == b"bytes %d-%d/100" % (first, last)
    assert headers[b"content-length"] == str(last + 1 - first).encode()


@pytest.mark.parametrize("wanted", [b"bytes=100-", b"bytes=200-300", b"bytes=-0"])
async def test_a_range_beyond_the_end_is_refused(store: DiskStore, wanted: bytes) -> None:
    status, _, headers = await answer(store, (b"range", wanted))
    assert (status, headers[b"content-range"]) == (416, b"bytes */100")


@pytest.mark.parametrize("wanted", [b"bytes=0-", b"bytes=-1"])
async def test_an_empty_file_has_no_range(store: DiskStore, wanted: bytes) -> None:
    assert (await answer(store, (b"range", wanted), name="empty"))[0] == 416
    assert (await answer(store, name="empty"))[:2] == (200, b"")


@pytest.mark.parametrize(
    "wanted", [b"", b"bytes", b"bytes=", b"bytes=-", b"bytes=5-2", b"bytes=0-1,5-6", b"lines=0-1", "bytes=²-".encode()]
)
async def test_a_range_that_is_none_is_ignored(store: DiskStore, wanted: bytes) -> None:
    assert (await answer(store, (b"range", wanted)))[:2] == (200, CONTENT)


async def test_an_unchanged_file_is_not_sent_again(store: DiskStore) -> None:
    etag = (await answer(store))[2][b"etag"]
    for header in (etag, b"W/" + etag, b'"other", ' + etag, b"*"):
        assert (await answer(store, (b"if-none-match", header)))[:2] == (304, b"")
    assert (await answer(store, (b"if-none-match", b'"other"')))[0] == 200
    then, before = (formatdate(moment, usegmt=True).encode() for moment in (MODIFIED, MODIFIED - 1))
    assert (await answer(store, (b"if-modified-since", then)))[0] == 304
    assert (await answer(store, (b"if-modified-since", before)))[0] == 200
    assert (await answer(store, (b"if-modified-since", b"yesterday")))[0] == 200
    assert (await answer(store, (b"if-modified-since", then), (b"if-none-match", b'"other"')))[0] == 200


async def test_a_download_resumes_only_on_the_same_content(store: DiskStore) -> None:
    etag = (await answer(store))[2][b"etag"]
    then, before = (formatdate(moment, usegmt=True).encode() for moment in (MODIFIED, MODIFIED - 1))
    wanted = (b"range", b"bytes=50-")
    for condition, status in ((etag, 206), (b'"other"', 200), (b"W/" + etag, 200), (then, 206), (before, 200)):
        assert (await answer(store, wanted, (b"if-range", condition)))[0] == status


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1))
def test_names_are_announced_as_stock_does(name: str) -> None:
    assert attachment(name) == _content_disposition_attachment(name)


@given(
    st.one_of(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=8),
        st.sampled_from(
            ["MLmodel", "mlproject", "a.YAML", "a.tar.gz", "a.ipynb", ".gitignore", "json", "x.", "a.b.csv"]
        ),
    )
)
def test_types_are_guessed_as_stock_does(name: str) -> None:
    if name not in (".", ".."):
        assert guess_type(f"dir/{name}") == _guess_mime_type(f"/root/dir/{name}")


def test_entity_tags_are_compared_weakly() -> None:
    assert matches_etag(b'W/"a"', b'"a"')
    assert not matches_etag(b'"aa"', b'"a"')
    assert not matches_etag(b"a", b'"a"')
