"""What a collection did, or would do."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Kept:
    """Something that was to be deleted and was not: its kind and id (``run 4f…``), and why."""

    id: str
    reason: str


@dataclass(slots=True)
class Summary:
    """Counts of what went: entities, ``rows`` of all tables, artifacts as ``objects`` and their ``bytes``."""

    dry_run: bool
    runs: int = 0
    experiments: int = 0
    logged_models: int = 0
    traces: int = 0
    jobs: int = 0
    rows: int = 0
    objects: int = 0
    bytes: int = 0
    seconds: float = 0.0
    limited: bool = False
    """Whether ``--limit`` left some of the selected for the next time."""
    kept: list[Kept] = field(default_factory=list)

    def as_data(self) -> dict[str, Any]:
        """The summary as JSON's values."""
        return asdict(self)

    def counts(self) -> dict[str, int]:
        """The counts by their names."""
        names = ("runs", "experiments", "logged_models", "traces", "jobs", "rows", "objects", "bytes")
        return {name: getattr(self, name) for name in names}

    def sentence(self) -> str:
        """The summary for people."""
        verb = "would delete" if self.dry_run else "deleted"
        counts = f"{self.runs} runs, {self.logged_models} logged models, {self.experiments} experiments"
        counts += f", {self.traces} traces, {self.jobs} jobs" if self.traces or self.jobs else ""
        sentence = f"{verb} {counts}: {self.rows} rows and {self.objects} artifacts of {self.bytes} bytes"
        sentence += f" in {self.seconds:.1f} seconds"
        sentence += f"; kept {len(self.kept)}" if self.kept else ""
        return sentence + ("; the limit left some for the next time" if self.limited else "")
