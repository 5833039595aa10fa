"""What stands around the charm in unit tests: a server that answers, and a cluster that remembers what it was asked."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.helpers import Unit

import charm
import readiness
from cluster import ClusterError, ClusterSettings
from readiness import Readiness


@dataclasses.dataclass
class Surroundings:
    """What the charm finds outside of itself; tests change it between two events."""

    answer: Readiness = dataclasses.field(default_factory=lambda: Readiness(True))
    cluster_error: ClusterError | None = None
    asked: list[ClusterSettings] = dataclasses.field(default_factory=list)
    cluster_writes: int = 0
    cluster_removals: int = 0


@pytest.fixture
def surroundings(monkeypatch: pytest.MonkeyPatch) -> Surroundings:
    around = Surroundings()

    class PlayedCluster:
        def __init__(self, *_: object) -> None:
            pass

        def apply(self, settings: ClusterSettings) -> bool:
            if around.cluster_error is not None:
                raise around.cluster_error
            if around.asked and around.asked[-1] == settings:
                return False
            around.asked.append(settings)
            around.cluster_writes += 1
            return True

        def remove(self) -> bool:
            if around.cluster_error is not None:
                raise around.cluster_error
            around.cluster_removals += 1
            return True

    # The testing framework writes all metadata anew for every event; with libyaml that takes a tenth of the time.
    monkeypatch.setattr("yaml.safe_dump", functools.partial(yaml.dump, Dumper=yaml.CSafeDumper))
    monkeypatch.setattr(charm, "Cluster", PlayedCluster)
    monkeypatch.setattr(readiness, "ask", lambda port, certificate: around.answer)
    monkeypatch.setattr("unit_server.READY_PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr("unit_server.CHECK_PATIENCE_SECONDS", 0.0)
    return around


@pytest.fixture
def unit(tmp_path: Path, surroundings: Surroundings) -> Callable[..., Unit]:
    """Makes a unit; its arguments are those of ``Unit`` without the folder."""
    made = 0

    def make(**arguments: Any) -> Unit:
        nonlocal made
        made += 1
        return Unit(tmp_path / str(made), **arguments)

    return make
