"""What a handler may use besides its request: built once by ``build_app``, then passed to every handler."""

from __future__ import annotations

from dataclasses import dataclass

from tracking_server.store.database import Database


@dataclass(frozen=True, slots=True)
class Services:
    """The process's long-lived collaborators."""

    database: Database
