"""What ``upgrade.py`` and the program that it runs say to each other."""

from __future__ import annotations

import enum

import msgspec


class Mode(enum.StrEnum):
    """What the program does."""

    OFFLINE = "offline"
    """Upgrades a database that no server serves."""
    ONLINE = "online"
    """Upgrades while servers serve."""
    PREPARE = "prepare"
    """Only builds the indexes of pending revisions, while servers serve."""
    INITIALISE = "initialise"
    """Makes the tables of an empty database; waits for another that does."""


class FailureKind(enum.StrEnum):
    """Why the program could not."""

    LOCKED = "locked"
    SCHEMA = "schema"
    DATABASE = "database"


class Order(msgspec.Struct):
    """SQLAlchemy's URI, the mode, and where the Default experiment's artifacts go (None: no such experiment)."""

    uri: str
    mode: Mode
    artifact_root: str | None = None


class Event(msgspec.Struct, tag="revision"):
    """A revision was applied; it is committed with all others at the end."""

    revision: str


class Stage(msgspec.Struct, tag="stage"):
    """What is being done, in words."""

    text: str


class Done(msgspec.Struct, tag="done"):
    """All is committed. ``differences`` from MLflow's models are none that a new database has too."""

    before: str | None
    after: str | None
    revisions: int
    differences: list[str]


class Failed(msgspec.Struct, tag="failed"):
    """Nothing was changed. ``reason`` is one line."""

    kind: FailureKind
    reason: str


Message = Event | Stage | Done | Failed
