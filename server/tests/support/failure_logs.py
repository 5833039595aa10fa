"""Puts into a failed test's report what the running servers logged during it."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from support.processes import RUNNING

_LINES = 60
_sizes: dict[Path, int] = {}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    _sizes.clear()
    _sizes.update({server.log_path: server.log_path.stat().st_size for server in RUNNING})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for server in RUNNING:
            with server.log_path.open("rb") as log:
                log.seek(_sizes.get(server.log_path, 0))
                lines = log.read().decode(errors="replace").splitlines()
            if lines:
                report.sections.append((f"log of {server.name} ({server.url})", "\n".join(lines[-_LINES:])))
    return report
