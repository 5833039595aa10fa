"""A missing requirement skips a test at a developer's, and fails it in CI."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import requirements
from support.requirements import requires


@pytest.fixture
def no_chromium(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("no_chromium")
def test_what_is_missing_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs browser: install Chromium"):
        requires("browser")


@pytest.mark.usefixtures("no_chromium")
def test_what_is_missing_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="needs browser"):
        requires("browser")


def test_the_newest_postgresql_is_taken() -> None:
    found = requires("postgresql")
    assert (found / "initdb").exists()
    assert requirements.REPOSITORY.joinpath("Makefile").exists()
