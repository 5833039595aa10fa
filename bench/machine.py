"""The machine and the versions that a result belongs to."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil
import psycopg

from support.requirements import REPOSITORY

_PACKAGES = ("mlflow", "uvicorn", "uvloop", "httptools", "asyncpg", "msgspec", "obstore", "sqlalchemy", "psycopg")


def describe(postgres_uri: str) -> dict[str, str]:
    """By name; the same wherever the repository lies."""
    with psycopg.connect(postgres_uri) as connection:
        row = connection.execute("SHOW server_version").fetchone()
    assert row is not None
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _output("git", "-C", str(REPOSITORY), "describe", "--always", "--dirty") or "unknown",
        "processor": _processor(),
        "cores": str(psutil.cpu_count()),
        # What else ran: figures of a busy machine are worth little.
        "load before": f"{psutil.getloadavg()[0]:.1f}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "PostgreSQL": str(row[0]),
        "wrk": _output("wrk", "--version").partition("[")[0].removeprefix("wrk").strip(),
        **{name: version(name) for name in _PACKAGES},
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _output(*command: str) -> str:
    try:
        done: Sequence[str] = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    except FileNotFoundError:
        return ""
    return done[0].strip() if done else ""
