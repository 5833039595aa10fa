"""A file store (``./mlruns``) as a source: MLflow's own converter makes an SQLite file of it, which is then copied."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tracking_server.exit_codes import ExitCode
from tracking_server.maintenance.copy.failures import CopyFailed
from tracking_server.maintenance.copy.progress import Progress
from tracking_server.settings_database import DatabaseUri

TRASH = ".trash"
"""The folder of deleted experiments; the locations in their rows do without it."""


def is_file_store(source: str) -> bool:
    """Whether what was given as a source is a folder, by its path or as a ``file:`` URI."""
    return source.startswith("file:") or "://" not in source


def holds_artifact(path: str) -> bool:
    """Whether a file of a file store is an artifact of a run, a model or a trace, and not the store's own."""
    segments = path.split("/")
    return segments[0] != TRASH and "artifacts" in segments[2:4]


@contextlib.contextmanager
def converted(folder: Path, progress: Progress) -> Iterator[DatabaseUri]:
    """The folder's data as an SQLite database in a temporary place, deleted when the copy has succeeded.

    It stays there for the next attempt otherwise: the converter makes up ids, so that a second conversion would not
    be the same. Raises CopyFailed with what the converter (``mlflow migrate-filestore``) says.
    """
    if not folder.is_dir():
        raise CopyFailed(f"{folder} is not a folder", ExitCode.UNREACHABLE)
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    place = Path(tempfile.gettempdir(), f"tracking-server-copy-{os.getuid()}-{name}")
    place.mkdir(mode=0o700, exist_ok=True)
    if place.stat().st_uid != os.getuid():
        raise CopyFailed(f"{place} belongs to somebody else")
    database = place / "mlflow.db"
    if database.exists():
        progress.say(f"going on with {database}, which an unfinished copy has made of {folder}")
    else:
        progress.say(f"MLflow converts {folder}")
        _convert(folder, place / "unfinished.db", progress)
        (place / "unfinished.db").rename(database)
    yield DatabaseUri.parse(f"sqlite:///{database}")
    shutil.rmtree(place)


def _convert(folder: Path, database: Path, progress: Progress) -> None:
    for leftover in database.parent.glob(f"{database.name}*"):
        leftover.unlink()
    arguments = ("migrate-filestore", "--source", folder, "--target", f"sqlite:///{database}", "--no-progress")
    done = subprocess.run(
        [sys.executable, "-m", "mlflow", *arguments],
        env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stderr.strip().splitlines()
    if done.returncode:
        raise CopyFailed(f"MLflow could not convert {folder}: {(said or ['no output'])[-1]}")
    # It leaves out what it cannot read, and says so.
    for line in said:
        if "Failed to read" in line:
            progress.say(line)
    with contextlib.closing(sqlite3.connect(database)) as connection:
        # One file, which can be renamed.
        connection.execute("PRAGMA journal_mode = DELETE")
