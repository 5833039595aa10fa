"""What only a file system has: links, permissions, reserved names, and a full disk's leftovers."""

from __future__ import annotations

import asyncio
import os
import pwd
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from tracking_server.artifacts.disk import DiskStore
from tracking_server.artifacts.store import CHUNK_SIZE
from tracking_server.errors import ErrorCode, MlflowError

OUTSIDE = "Invalid path: resolved path is outside the artifact directory"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An artifact root beside a secret, with links inside, outwards, nowhere and in a circle."""
    root = tmp_path / "root"
    (root / "dir").mkdir(parents=True)
    (root / "dir" / "file").write_bytes(b"inside")
    (tmp_path / "root-sibling").mkdir()
    (tmp_path / "root-sibling" / "secret").write_bytes(b"secret")
    (root / "to-file").symlink_to(root / "dir" / "file")
    (root / "to-dir").symlink_to("dir")
    (root / "out").symlink_to(tmp_path / "root-sibling")
    (root / "out-file").symlink_to("../root-sibling/secret")
    (root / "nowhere").symlink_to("missing")
    (root / "circle").symlink_to("circle")
    return root


async def once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def tree(root: Path) -> list[Path]:
    return sorted(root.rglob("*"))


async def test_links_within_the_root_are_followed(root: Path) -> None:
    store = DiskStore(root)
    for path in ("to-file", "to-dir/file"):
        opened = await store.open(path)
        assert [chunk async for chunk in opened.chunks] == [b"inside"]


@pytest.mark.parametrize("path", ["out/secret", "out-file"])
async def test_links_out_of_the_root_are_refused_in_the_words_of_stock(root: Path, path: str) -> None:
    store = DiskStore(root)
    for attempt in (store.open(path), store.head(path), store.entries("out"), store.put(path, once(b"x"), 1)):
        with pytest.raises(MlflowError) as refused:
            await attempt
        assert (refused.value.message, refused.value.code) == (OUTSIDE, ErrorCode.INVALID_PARAMETER_VALUE)
    assert (root.parent / "root-sibling" / "secret").read_bytes() == b"secret"


async def test_deleting_a_link_leaves_what_it_leads_to(root: Path) -> None:
    store = DiskStore(root)
    with pytest.raises(MlflowError, match=OUTSIDE):
        await store.delete("out/secret")
    for path in ("out", "out-file", "to-dir", "circle", "nowhere"):
        await store.delete(path)
        assert not (root / path).is_symlink()
    assert (root.parent / "root-sibling" / "secret").exists()
    assert (root / "dir" / "file").exists()


async def test_a_listing_hides_links_that_cannot_be_read(root: Path) -> None:
    assert [entry.name for entry in await DiskStore(root).entries("")] == ["dir", "to-dir", "to-file"]


async def test_what_is_no_file_is_not_opened(root: Path) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(MlflowError, match="No such artifact"):
        await DiskStore(root).open("pipe")


@pytest.mark.parametrize(
    "path",
    ["dir/file/below", "dir/.artifact.uploading.x", "a//b/c", "a/./b", "n" * 300, "dir", "to-dir", "circle/x", ""],
)
async def test_a_name_that_cannot_be_stored_is_the_clients_fault(root: Path, path: str) -> None:
    before = tree(root)
    with pytest.raises(MlflowError) as refused:
        await DiskStore(root).put(path, once(b"x"), 1)
    assert refused.value.status == 400
    assert tree(root) == before


async def test_what_a_writer_has_left_unfinished_is_discarded_and_nothing_else(tmp_path: Path) -> None:
    begun = asyncio.Semaphore(0)

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * 2 * CHUNK_SIZE
        begun.release()
        await asyncio.Event().wait()

    uploads = [asyncio.create_task(DiskStore(tmp_path, name).put("a/b", endless(), None)) for name in ("mine", "other")]
    for _ in uploads:
        await begun.acquire()
    both = tree(tmp_path)
    await DiskStore(tmp_path).written_by("mine").discard_unfinished()
    left = tree(tmp_path)
    for upload in uploads:
        upload.cancel()
    await asyncio.gather(*uploads, return_exceptions=True)
    assert (len(both), [".other." in path.name for path in left]) == (2, [True])


async def test_files_get_the_mode_that_the_umask_gives(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "new" / "root")
    await store.put("dir/file", once(b"x"), 1)
    plain = tmp_path / "plain"
    plain.touch()
    assert (tmp_path / "new/root/dir/file").stat().st_mode == plain.stat().st_mode
    assert stat.S_ISREG(plain.stat().st_mode)


async def test_stock_and_this_server_read_each_others_files(tmp_path: Path) -> None:
    ours, stock = DiskStore(tmp_path / "root"), LocalArtifactRepository(str(tmp_path / "root"))
    (tmp_path / "file.txt").write_text("from stock")
    stock.log_artifact(str(tmp_path / "file.txt"), "dir")
    await ours.put("dir/sub/ours.txt", once(b"from us"), 7)
    assert [(e.name, e.is_directory, e.size) for e in await ours.entries("dir")] == [
        (Path(info.path).name, info.is_dir, info.file_size) for info in stock.list_artifacts("dir")
    ]
    assert stock.get_local_path("dir/sub/ours.txt") == str(tmp_path / "root/dir/sub/ours.txt")


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Acts as nobody where we are root, who may write everywhere."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(pwd.getpwnam("nobody").pw_uid)
    yield
    os.seteuid(user)


@pytest.fixture
def closed_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir(mode=0o500)
    return folder


async def test_a_storage_without_permission_says_so(closed_folder: Path, unprivileged: None) -> None:
    with pytest.raises(MlflowError) as refused:
        await DiskStore(closed_folder).put("file", once(b"x"), 1)
    assert refused.value.code is ErrorCode.PERMISSION_DENIED
