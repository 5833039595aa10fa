"""Runs the real command in a folder of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.processes import plain_environment

RunCommand = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> RunCommand:
    """``run("config", "check", TRACKING_SERVER_SERVER_PORT="1")``: the command's output and exit code."""

    def run_command(*arguments: str, timeout: float = 60, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tracking_server", *arguments],
            cwd=tmp_path,
            env=plain_environment({"HOME": str(tmp_path), **environment}),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run_command
