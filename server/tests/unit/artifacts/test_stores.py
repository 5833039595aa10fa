"""What every artifact store does alike, on disk and in S3."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tracking_server.artifacts.store import ArtifactIsDirectory, ArtifactStore, Entry
from tracking_server.errors import ErrorCode, MlflowError

MEBIBYTE = 1024 * 1024
NAMES = [
    "a.txt",
    "with space.txt",
    "a+b",
    "100%",
    "a%20b",
    "what?",
    "a&b=c",
    "日本語.txt",
    "é.txt",
    "e\u0301.txt",
    "{x}~*'\"()!",
    "a:b",
    "a;b",
    "..a",
    "a\\b",
    ".hidden",
    "deep/er/and/deep er/file",
]


async def chunks(*content: bytes) -> AsyncIterator[bytes]:
    for chunk in content:
        yield chunk


async def put(store: ArtifactStore, path: str, content: bytes = b"content") -> None:
    await store.put(path, chunks(content), len(content))


async def read(store: ArtifactStore, path: str, span: tuple[int, int] | None = None) -> bytes:
    opened = await store.open(path, span)
    return b"".join([chunk async for chunk in opened.chunks])


async def everything(store: ArtifactStore, directory: str = "") -> set[str]:
    """All files below a directory."""
    found = set()
    for entry in await store.entries(directory):
        path = f"{directory}/{entry.name}" if directory else entry.name
        found |= await everything(store, path) if entry.is_directory else {path}
    return found


@pytest.mark.parametrize("name", NAMES)
async def test_a_file_is_read_as_it_was_written_under_any_name(store: ArtifactStore, name: str) -> None:
    await put(store, name, name.encode())
    assert await read(store, name) == name.encode()
    assert (await store.head(name)).size == len(name.encode())
    assert await everything(store) == {name}
    await store.delete(name)
    assert await everything(store) == set()


@pytest.mark.parametrize("size", [0, 1, MEBIBYTE, 5 * MEBIBYTE, 5 * MEBIBYTE + 1, 17 * MEBIBYTE + 3])
@pytest.mark.parametrize("announced", [True, False])
async def test_every_size_arrives_whole(store: ArtifactStore, size: int, announced: bool) -> None:
    content = bytes(range(251)) * (size // 251 + 1)
    content = content[:size]
    pieces = [content[start : start + 300_000] for start in range(0, size, 300_000)]
    await store.put("file", chunks(*pieces), size if announced else None)
    assert await read(store, "file") == content
    assert (await store.head("file")).size == size


async def test_a_listing_is_sorted_and_tells_directories_from_files(store: ArtifactStore) -> None:
    for path in ("b", "a/x", "a.txt", "a-b/y", "Z", "é", "empty"):
        await put(store, path, b"" if path == "empty" else b"12")
    assert await store.entries("") == [
        Entry("Z", False, 2),
        Entry("a", True, None),
        Entry("a-b", True, None),
        Entry("a.txt", False, 2),
        Entry("b", False, 2),
        Entry("empty", False, 0),
        Entry("é", False, 2),
    ]
    assert await store.entries("a") == [Entry("x", False, 2)]
    assert await store.entries("a/") == [Entry("x", False, 2)]
    assert await store.entries("b") == []
    assert await store.entries("nothing") == []
    assert await store.child("a").entries("") == [Entry("x", False, 2)]


async def test_a_file_is_replaced_as_a_whole(store: ArtifactStore) -> None:
    await put(store, "file", b"x" * 6 * MEBIBYTE)
    before = await store.head("file")
    await put(store, "file", b"new")
    assert await read(store, "file") == b"new"
    assert (await store.head("file")).etag != before.etag


@pytest.mark.parametrize("path", ["nothing", "dir/nothing", "file/below"])
async def test_what_is_missing_is_not_found_in_the_words_of_stock(store: ArtifactStore, path: str) -> None:
    await put(store, "file")
    await put(store, "dir/file")
    for attempt in (store.open(path), store.head(path)):
        with pytest.raises(MlflowError) as missing:
            await attempt
        assert missing.value.code is ErrorCode.RESOURCE_DOES_NOT_EXIST
        assert missing.value.message == f"No such artifact: '{path}'"
    await store.delete(path)


@pytest.mark.parametrize("path", ["", "dir", "dir/", "dir/sub"])
async def test_a_directory_is_no_file(store: ArtifactStore, path: str) -> None:
    await put(store, "dir/sub/file")
    for attempt in (store.open(path), store.head(path)):
        with pytest.raises(ArtifactIsDirectory):
            await attempt


async def test_a_range_is_read_alone(store: ArtifactStore) -> None:
    content = bytes(range(256)) * 20_000
    await put(store, "file", content)
    for start, stop in ((0, 1), (100, 5_000_000), (len(content) - 1, len(content))):
        opened = await store.open("file", (start, stop))
        assert (opened.start, opened.stop, opened.details.size) == (start, stop, len(content))
        assert b"".join([chunk async for chunk in opened.chunks]) == content[start:stop]


async def test_deleting_a_directory_leaves_its_neighbours(store: ArtifactStore) -> None:
    for path in ("dir/a", "dir/sub/b", "dir2/c", "dir.txt"):
        await put(store, path)
    await store.delete("dir")
    assert await everything(store) == {"dir2/c", "dir.txt"}


async def test_more_files_than_one_page_of_a_listing(store: ArtifactStore) -> None:
    names = [f"many/{number:04}" for number in range(1_050)]
    for start in range(0, len(names), 50):
        await asyncio.gather(*(put(store, name, b"") for name in names[start : start + 50]))
    assert [entry.name for entry in await store.entries("many")] == [name.removeprefix("many/") for name in names]
    await store.delete("many")
    assert await everything(store) == set()


@pytest.mark.parametrize("path", ["", ".", "./"])
async def test_everything_at_once_is_not_deleted(store: ArtifactStore, path: str) -> None:
    await put(store, "file")
    with pytest.raises(Exception, match=r"Invalid path|artifact-path"):
        await store.delete(path)
    assert await everything(store) == {"file"}


class Broken(Exception):
    pass


async def breaking(sent: int) -> AsyncIterator[bytes]:
    for _ in range(sent):
        yield b"x" * MEBIBYTE
    raise Broken


@pytest.mark.parametrize("sent", [0, 1, 12])
async def test_a_broken_upload_leaves_nothing(store: ArtifactStore, sent: int) -> None:
    await put(store, "kept/file", b"old")
    with pytest.raises(Broken):
        await store.put("kept/file", breaking(sent), 100 * MEBIBYTE)
    with pytest.raises(Broken):
        await store.put("fresh/dir/file", breaking(sent), None)
    assert await everything(store) == {"kept/file"}
    assert await read(store, "kept/file") == b"old"
    assert [entry.name for entry in await store.entries("")] == ["kept"]


@pytest.mark.parametrize("sent", [0, 1, 12])
async def test_a_cancelled_upload_leaves_nothing(store: ArtifactStore, sent: int) -> None:
    stalled = asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        for _ in range(sent):
            yield b"x" * MEBIBYTE
        stalled.set()
        await asyncio.Event().wait()

    uploading = asyncio.create_task(store.put("fresh/file", stalling(), 100 * MEBIBYTE))
    await stalled.wait()
    uploading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await uploading
    assert await store.entries("") == []


async def test_simultaneous_uploads_of_one_name_leave_one_of_them(store: ArtifactStore) -> None:
    contents = [bytes([number]) * (3 * MEBIBYTE) for number in range(6)]
    await asyncio.gather(*(put(store, "same", content) for content in contents))
    assert await read(store, "same") in contents
    assert await everything(store) == {"same"}


async def test_reading_may_stop_early(store: ArtifactStore) -> None:
    await put(store, "file", b"x" * 8 * MEBIBYTE)
    opened = await store.open("file")
    async for chunk in opened.chunks:
        assert chunk
        break
    await opened.chunks.aclose()  # type: ignore[attr-defined]  # what the door does with every stream it leaves
    assert (await store.head("file")).size == 8 * MEBIBYTE


async def test_a_reachable_store_is_found_well(store: ArtifactStore) -> None:
    await store.check()
