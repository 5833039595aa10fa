"""The names of locks between processes on one database: PostgreSQL's advisory locks, files beside an SQLite file."""

from __future__ import annotations

from pathlib import Path

UPGRADE_KEY = 0x6D6C666C6F77
"""Of whoever makes or changes the tables, alone ("mlflow")."""
SERVING_KEY = 0x6D6C666C6F78
"""Shared by servers and by what works beside them; an upgrade takes it alone."""
COLLECTION_KEY = 0x6D6C666C6F79
"""Of whoever collects garbage, alone."""


def upgrade_lock_file(path: Path) -> Path:
    """The file that stands for UPGRADE_KEY beside the SQLite database at ``path``."""
    return path.with_name(f".{path.name}.init-lock")


def serving_lock_file(path: Path) -> Path:
    """The file that stands for SERVING_KEY beside the SQLite database at ``path``."""
    return path.with_name(f".{path.name}.serving-lock")


def collection_lock_file(path: Path) -> Path:
    """The file that stands for COLLECTION_KEY beside the SQLite database at ``path``."""
    return path.with_name(f".{path.name}.gc-lock")
