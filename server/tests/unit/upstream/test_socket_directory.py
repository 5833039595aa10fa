"""The folder of stock's socket is ours alone."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tracking_server.upstream.socket_directory import SocketDirectory, SocketDirectoryError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_temporary_folder_is_private_and_goes() -> None:
    directory = SocketDirectory.create(None)
    assert mode(directory.path) == 0o700
    directory.wanted.touch()
    directory.remove(None)
    assert not directory.path.exists()


def test_a_configured_folder_is_made_private_cleared_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.mkdir(mode=0o755)
    (path / "was-ready").touch()
    (path / "theirs").touch()
    directory = SocketDirectory.create(path)
    assert mode(path) == 0o700
    assert sorted(entry.name for entry in path.iterdir()) == ["theirs"]
    directory.remove(path)
    assert path.exists()


def test_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(SocketDirectoryError):
        SocketDirectory.create(tmp_path / "link")


def test_a_name_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SocketDirectoryError, match="too long"):
        SocketDirectory.create(tmp_path / ("d" * 100))
