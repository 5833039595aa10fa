"""Fixtures of the tests of garbage collection."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    """An empty folder for artifacts."""
    folder = tmp_path / "artifacts"
    folder.mkdir()
    return folder
