"""Counts of what was served, by route and status class, and of what was forwarded, by reason."""

from __future__ import annotations

from collections import Counter, defaultdict


class RequestMetrics:
    """Plain counters of this process: the hot path only adds to dictionaries."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.forwarded: Counter[tuple[str, str]] = Counter()

    def record(self, label: str, status: int, seconds: float) -> None:
        """One request to the route ``label`` was answered with ``status`` after ``seconds``."""
        self.requests[label, status // 100] += 1
        self.seconds[label] += seconds

    def record_forward(self, label: str, reason: str) -> None:
        """One request went to stock MLflow; ``reason`` is a short fixed word."""
        self.forwarded[label, reason] += 1
