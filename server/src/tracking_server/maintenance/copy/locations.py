"""Artifact locations in rows: which columns hold one, and how one below the old root is written below the new."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlparse

import sqlalchemy as sa

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


@dataclass(frozen=True)
class Relocation:
    """Artifacts move from the root ``old`` to the root ``new``: absolute paths or URIs.

    ``given`` is the old root as a person writes it, for rows that name it by the same relative path.
    """

    old: str
    new: str
    given: str | None = None

    def relocate(self, location: str) -> str:
        """``location`` below the new root, if it is the old one or lies below it; else itself."""
        for spelling in self._spellings:
            if location == spelling:
                return self.new.rstrip("/")
            if location.startswith(spelling + "/"):
                return self.new.rstrip("/") + location[len(spelling) :]
        return location

    @functools.cached_property
    def _spellings(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*_spellings(self.old), (self.given or self.old).rstrip("/"))))

    def positions(self, table: Table) -> tuple[tuple[int, Callable[..., bool] | None], ...]:
        """Which columns of ``table`` hold locations, each with what tells by a row's values whether it does there."""
        names = [column.name for column in table.columns]
        if table.name == "trace_tags":
            key = names.index("key")
            return ((names.index("value"), lambda *row: row[key] in _TRACE_TAGS),)
        return tuple((names.index(name), None) for name in _COLUMNS.get(table.name, ()))

    def updates(self) -> Iterator[sa.Update]:
        """Statements that change all locations in a database, as ``relocate`` does; one for each column."""
        for table, names in _COLUMNS.items():
            for name in names:
                yield self._update(table, name)
        yield self._update("trace_tags", "value").where(sa.column("key", sa.String).in_(_TRACE_TAGS))

    def _update(self, table: str, name: str) -> sa.Update:
        column = sa.column(name, sa.String)
        moved = {
            spelling: (column == spelling) | (sa.func.substr(column, 1, len(spelling) + 1) == f"{spelling}/")
            for spelling in self._spellings
        }
        new = sa.literal(self.new.rstrip("/"))
        values = [
            (is_below, new + sa.func.substr(column, len(spelling) + 1, type_=sa.String))
            for spelling, is_below in moved.items()
        ]
        return sa.update(sa.table(table, column)).values({name: sa.case(*values)}).where(sa.or_(*moved.values()))


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
