"""What the server says of its artifact storage."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

from tracking_server.artifacts.destination import ArtifactDestination
from tracking_server.artifacts.health import StorageHealth
from tracking_server.errors import ErrorCode, MlflowError


@dataclass
class _Storage:
    """A store and its destination in one; ``answers`` says how each check goes: well, late, or with an error."""

    answers: list[str]
    is_native: bool = True
    checks: list[str] = field(default_factory=list)

    @property
    def store(self) -> _Storage:
        return self

    async def check(self) -> None:
        answer = self.answers[len(self.checks)]
        self.checks.append(answer)
        if answer == "late":
            await asyncio.sleep(60)
        elif answer != "well":
            raise MlflowError(answer, ErrorCode.INTERNAL_ERROR)


async def states(storage: _Storage, count: int, remembered: float = 0.0) -> list[str]:
    health = StorageHealth(cast("ArtifactDestination", cast("Any", storage)), remembered=remembered, patience=0.01)
    found = [await health.state() for _ in range(count)]
    return [state.get("reason", state["state"]) for state in found]


async def test_it_is_told_as_it_is() -> None:
    assert await states(_Storage(["well", "no such bucket", "well"]), 3) == ["ready", "no such bucket", "ready"]
    assert await states(_Storage([], is_native=False), 1) == ["forwarded"]


async def test_one_late_answer_is_asked_for_again_before_it_counts() -> None:
    storage = _Storage(["well", "late", "well", "late", "late", "late", "well"])
    assert await states(storage, 7) == ["ready", "ready", "ready", "ready", "no answer", "no answer", "ready"]
    assert await states(_Storage(["late", "well"]), 2) == ["no answer", "ready"]


async def test_it_is_asked_now_and_then_and_after_a_late_answer_at_once() -> None:
    storage = _Storage(["well", "well"])
    assert await states(storage, 5, remembered=60) == ["ready"] * 5
    assert len(storage.checks) == 1
