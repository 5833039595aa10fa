"""Artifact locations in rows: which columns hold one, and how one below the old root is written below the new."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlparse

from tracking_server.maintenance.copy.tables import Table

# Every column of MLflow's tables that the server fills with an artifact location.
_COLUMNS = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
    "workspaces": ("default_artifact_root", "trace_archival_location"),
}
# mlflow/tracing/constant.py and mlflow/utils/mlflow_tags.py
_TRACE_TAGS = ("mlflow.artifactLocation", "mlflow.trace.archiveLocation")


@dataclass(frozen=True, slots=True)
class Relocation:
    """Artifacts move from the root ``old`` to the root ``new``: paths or URIs, as a person writes them."""

    old: str
    new: str

    def relocate(self, location: str) -> str:
        """``location`` below the new root, if it is the old one or lies below it; else itself."""
        for spelling in _spellings(self.old):
            if location == spelling:
                return self.new.rstrip("/")
            if location.startswith(spelling + "/"):
                return self.new.rstrip("/") + location[len(spelling) :]
        return location

    def for_table(self, table: Table) -> Callable[[list[Any]], None] | None:
        """What changes the locations in a row of ``table``; None for a table that holds none."""
        names = [column.name for column in table.columns]
        if table.name == "trace_tags":
            key, value = names.index("key"), names.index("value")

            def change_tag(row: list[Any]) -> None:
                if row[key] in _TRACE_TAGS and row[value] is not None:
                    row[value] = self.relocate(row[value])

            return change_tag
        positions = [names.index(name) for name in _COLUMNS.get(table.name, ())]
        if not positions:
            return None

        def change(row: list[Any]) -> None:
            for position in positions:
                if row[position] is not None:
                    row[position] = self.relocate(row[position])

        return change


def absolute_location(location: str) -> str:
    """A folder's path as an absolute path, a bucket's URI as it is, without a slash at the end."""
    if urlparse(location).scheme in ("", "file"):
        return _local_path(location)
    return location.rstrip("/")


def _spellings(root: str) -> tuple[str, ...]:
    """The ways in which rows may name a root: MLflow keeps what it was given, a path or a file URI."""
    if urlparse(root).scheme not in ("", "file"):
        return (root.rstrip("/"),)
    path = _local_path(root)
    escaped = quote(path)
    return tuple(dict.fromkeys((path, f"file://{path}", f"file://{escaped}", f"file:{path}", f"file:{escaped}")))


def _local_path(location: str) -> str:
    if location.startswith("file:"):
        location = unquote(urlparse(location).path)
    return os.path.normpath(Path.cwd() / location)
