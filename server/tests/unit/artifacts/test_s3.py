"""What only S3 has: keys, presigned URLs, uploads in parts, and a storage that refuses or is away."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository

from support.s3 import S3Server
from tracking_server.artifacts.destination import open_destination
from tracking_server.artifacts.s3 import S3BucketStore
from tracking_server.config import ArtifactSettings
from tracking_server.errors import ErrorCode, ForwardRequest, MlflowError, Unavailable
from tracking_server.settings import Secret

MEBIBYTE = 1024 * 1024


async def once(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def send(method: str, url: str, body: bytes | None = None) -> tuple[dict[str, str], bytes]:
    """Sends a request as a client without credentials does."""

    def run() -> tuple[dict[str, str], bytes]:
        request = urllib.request.Request(url, body, method=method)  # noqa: S310 - the URL of this test's server
        with urllib.request.urlopen(request) as response:  # noqa: S310 - as above
            return {name.lower(): value for name, value in response.headers.items()}, response.read()

    return await asyncio.to_thread(run)


@pytest.mark.parametrize("name", ["file.txt", "with space+%?.txt", "日本.txt", 'quo"te.txt'])
async def test_a_presigned_url_downloads_under_the_files_name(s3_store: S3BucketStore, name: str) -> None:
    await s3_store.put(f"dir/{name}", once(b"content"), 7)
    url, details = await s3_store.presign_download(f"dir/{name}", 60)
    headers, body = await send("GET", url)
    assert (body, details.size) == (b"content", 7)
    assert headers["content-disposition"].startswith("attachment; filename")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        await send("GET", url.replace("attachment", "inline"))


async def test_a_presigned_url_of_nothing_is_refused(s3_store: S3BucketStore) -> None:
    with pytest.raises(MlflowError, match="No such artifact: 'nothing'"):
        await s3_store.presign_download("nothing", 60)


async def test_a_client_uploads_in_parts(s3_store: S3BucketStore) -> None:
    parts = [b"a" * (5 * MEBIBYTE), b"b" * (5 * MEBIBYTE), b"end"]
    upload = await s3_store.create_multipart("dir/big file", len(parts))
    answers = [await send("PUT", url, part) for url, part in zip(upload.part_urls, parts, strict=True)]
    etags = {number: headers["etag"] for number, (headers, _) in enumerate(answers, 1)}
    await s3_store.complete_multipart("dir/big file", upload.upload_id, etags)
    opened = await s3_store.open("dir/big file")
    assert b"".join([chunk async for chunk in opened.chunks]) == b"".join(parts)


async def test_an_aborted_upload_is_gone(s3_store: S3BucketStore, s3_server: S3Server, bucket_uri: str) -> None:
    upload = await s3_store.create_multipart("file", 1)
    assert unfinished(s3_server, bucket_uri) == ["some/prefix/file"]
    await s3_store.abort_multipart("file", upload.upload_id)
    assert unfinished(s3_server, bucket_uri) == []
    with pytest.raises(MlflowError) as refused:
        await s3_store.complete_multipart("file", upload.upload_id, {1: '"0"'})
    assert refused.value.status in (400, 404)


def unfinished(server: S3Server, uri: str) -> list[str]:
    bucket = uri.removeprefix("s3://").split("/")[0]
    return [str(upload["Key"]) for upload in server.client().list_multipart_uploads(Bucket=bucket).get("Uploads", [])]


@pytest.mark.parametrize("cancel", [False, True])
async def test_a_broken_upload_takes_back_the_parts_it_sent(
    s3_store: S3BucketStore, s3_server: S3Server, bucket_uri: str, cancel: bool
) -> None:
    sent, may_break = asyncio.Event(), asyncio.Event()

    async def breaking() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * MEBIBYTE
        sent.set()
        await may_break.wait()
        raise ConnectionError

    uploading = asyncio.create_task(s3_store.put("file", breaking(), 100 * MEBIBYTE))
    await sent.wait()
    assert await asyncio.to_thread(unfinished, s3_server, bucket_uri) == ["some/prefix/file"]
    if cancel:
        uploading.cancel()
    else:
        may_break.set()
    with pytest.raises((ConnectionError, asyncio.CancelledError)):
        await uploading
    assert await asyncio.to_thread(unfinished, s3_server, bucket_uri) == []


@pytest.mark.parametrize("path", ["a//b", "a/./b", "../a", "a/.."])
async def test_a_key_that_obstore_would_change_is_left_to_stock(s3_store: S3BucketStore, path: str) -> None:
    for attempt in (
        lambda: s3_store.open(path),
        lambda: s3_store.put(path, once(b"x"), 1),
        lambda: s3_store.delete(path),
    ):
        with pytest.raises(ForwardRequest, match="artifact-path"):
            await attempt()


async def test_directory_markers_are_not_listed(s3_store: S3BucketStore, s3_server: S3Server, bucket_uri: str) -> None:
    bucket = bucket_uri.removeprefix("s3://").split("/")[0]
    s3_server.client().put_object(Bucket=bucket, Key="some/prefix/dir/", Body=b"")
    s3_server.client().put_object(Bucket=bucket, Key="some/prefix/dir/file", Body=b"x")
    assert [entry.name for entry in await s3_store.entries("dir")] == ["file"]


async def test_stock_and_this_server_see_the_same_objects(
    s3_store: S3BucketStore, s3_server: S3Server, bucket_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.client_environment().items():
        monkeypatch.setenv(name, value)
    stock = S3ArtifactRepository(bucket_uri)
    (tmp_path / "model.json").write_text("{}")
    await asyncio.to_thread(stock.log_artifact, str(tmp_path / "model.json"), "dir")
    await s3_store.put("dir/ours.json", once(b"[]"), 2)
    await s3_store.put("dir/sub/deep.tar.gz", once(b""), 0)
    listed = await asyncio.to_thread(stock.list_artifacts, "dir")
    assert [(entry.name, entry.is_directory, entry.size) for entry in await s3_store.entries("dir")] == [
        (Path(info.path).name, info.is_dir, info.file_size) for info in listed
    ]
    bucket = bucket_uri.removeprefix("s3://").split("/")[0]
    heads = [
        s3_server.client().head_object(Bucket=bucket, Key=f"some/prefix/dir/{name}")
        for name in ("model.json", "ours.json", "sub/deep.tar.gz")
    ]
    assert [head["ContentType"] for head in heads] == ["application/json", "application/json", "application/x-tar"]
    assert heads[2]["ContentEncoding"] == "gzip"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"s3_secret_access_key": Secret("wrong")}, ErrorCode.UNAUTHENTICATED),
        ({}, ErrorCode.RESOURCE_DOES_NOT_EXIST),
    ],
)
async def test_a_refusal_is_passed_on(s3_server: S3Server, changes: dict[str, object], code: ErrorCode) -> None:
    store = open_destination(settings(s3_server, **changes), {}).store
    for attempt in (store.open("a"), store.entries(""), store.put("a", once(b"x"), 1)):
        with pytest.raises(MlflowError) as refused:
            await attempt
        assert refused.value.code is code
        assert s3_server.endpoint not in refused.value.message
        assert s3_server.access_key not in refused.value.message
    with pytest.raises(Unavailable):
        await store.check()


async def test_a_storage_that_is_away_is_unavailable(s3_server: S3Server, unused_tcp_port: int) -> None:
    away = settings(s3_server, s3_endpoint=f"http://127.0.0.1:{unused_tcp_port}")
    store = open_destination(away, {}).store
    assert isinstance(store, S3BucketStore)
    body = once(b"x" * 20 * MEBIBYTE)
    for attempt in (store.open("a"), store.entries(""), store.put("a", body, None), store.create_multipart("a", 1)):
        with pytest.raises(Unavailable) as away_error:
            await attempt
        assert away_error.value.status == 503


def settings(server: S3Server, **changes: object) -> ArtifactSettings:
    """A destination in a bucket that does not exist, with ``changes``."""
    values: dict[str, object] = {
        "destination": f"s3://{secrets.token_hex(8)}/x",
        "s3_endpoint": server.endpoint,
        "s3_region": server.region,
        "s3_access_key_id": Secret(server.access_key),
        "s3_secret_access_key": Secret(server.secret_key),
    }
    return ArtifactSettings(**(values | changes))  # type: ignore[arg-type]  # each value fits its setting


def test_a_process_that_used_the_storage_ends_cleanly(unused_tcp_port: int) -> None:
    code = (
        "import asyncio\n"
        "from tracking_server.artifacts.destination import open_destination\n"
        "from tracking_server.config import ArtifactSettings\n"
        f"settings = ArtifactSettings(destination='s3://b', s3_endpoint='http://127.0.0.1:{unused_tcp_port}')\n"
        "keys = {'AWS_ACCESS_KEY_ID': 'a', 'AWS_SECRET_ACCESS_KEY': 'b'}\n"
        "async def main():\n"
        "    await open_destination(settings, keys).store.check()\n"
        "try:\n    asyncio.run(main())\n"
        "except Exception as error:\n    print(type(error).__name__)\n"
    )
    for _ in range(3):
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stdout) == (0, "Unavailable\n"), ended.stderr
