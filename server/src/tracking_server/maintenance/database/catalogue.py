"""MLflow's revisions as data: which release brought each, and the statements that it runs.

``revisions.json`` was recorded from MLflow's own migrations (``record.py``), so nothing here loads MLflow.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources

import msgspec

from tracking_server.store.database import Dialect


class Revision(msgspec.Struct, frozen=True):
    """One of MLflow's schema revisions. ``since`` is the first release (``2.19``) that has it.

    ``reads`` names the tables whose rows it looks at, to change rows one by one.
    """

    revision: str
    description: str
    since: str
    reads: list[str]
    postgresql: list[str]
    sqlite: list[str]

    def statements(self, dialect: Dialect) -> list[str]:
        """What it runs on a database that is otherwise empty: rows may make it run some statements more often."""
        return self.postgresql if dialect is Dialect.POSTGRESQL else self.sqlite


class Catalogue(msgspec.Struct, frozen=True):
    """All revisions, oldest first, and how a new database of MLflow itself differs from MLflow's models."""

    revisions: list[Revision]
    known_differences: Mapping[str, list[str]]

    def release_of(self, revision: str) -> str | None:
        """The newest release whose databases are at ``revision``, such as ``2.22``; None for one that is not listed."""
        names = [each.revision for each in self.revisions]
        if revision not in names:
            return None
        here = self.revisions[names.index(revision)]
        following = self.revisions[names.index(revision) + 1 :]
        if not following or following[0].since == here.since:
            return here.since
        return _release_before(following[0].since)

    def after(self, revision: str | None) -> list[Revision]:
        """The revisions that follow ``revision``; all of them for None. Raises ValueError for an unknown one."""
        names = [each.revision for each in self.revisions]
        return self.revisions if revision is None else self.revisions[names.index(revision) + 1 :]


@functools.cache
def catalogue() -> Catalogue:
    """The catalogue that is part of this package."""
    text = resources.files(__package__).joinpath("revisions.json").read_bytes()
    return msgspec.json.decode(text, type=Catalogue)


def _release_before(release: str) -> str:
    last_of_major = {"1.0": "0.9", "2.0": "1.30", "3.0": "2.22"}
    stem, _, last = release.rpartition(".")
    return last_of_major.get(release) or f"{stem}.{int(last) - 1}"
