"""What an integration hands out, read once in a hook."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Generic, TypeVar

import ops

from relations.databag import Problem

Offered = TypeVar("Offered")


class Integration(ABC, Generic[Offered]):
    """An endpoint whose other side hands out one thing, or nothing that can be used yet."""

    def __init__(self, charm: ops.CharmBase) -> None:
        self._charm = charm

    @property
    def related(self) -> bool:
        return self._loaded is not None

    @property
    def offered(self) -> Offered | None:
        """What can be used; None while there is nothing, or nothing usable (see ``problem``)."""
        return None if isinstance(self._loaded, Problem) else self._loaded

    @property
    def problem(self) -> str | None:
        """Why what is integrated cannot be used. Holds nothing of what the other side wrote."""
        return self._loaded.text if isinstance(self._loaded, Problem) else None

    @property
    def waiting(self) -> bool:
        """Whether the problem passes by itself."""
        return isinstance(self._loaded, Problem) and self._loaded.waiting

    @cached_property
    def _loaded(self) -> Offered | Problem | None:
        # Once: each secret behind it is a call to the controller, and a hook sees the same throughout.
        return self._load()

    @abstractmethod
    def _load(self) -> Offered | Problem | None:
        """What is handed out, why it cannot be used, or None where nothing is integrated."""
