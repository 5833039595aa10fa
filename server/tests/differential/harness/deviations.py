"""THE list of answers that deliberately differ from stock's.

Each says what stock answers (the harness asserts that it still does) and what ours answers instead; everything that
is not listed here must be equal.
"""

from __future__ import annotations

from dataclasses import dataclass

BOTH = ("sqlite", "postgresql")


@dataclass(frozen=True, slots=True)
class Deviation:
    """One deliberate difference.

    ``stock`` and ``ours`` are HTTP statuses; ``code`` is the error code in our answer. It holds on ``dialects`` only:
    on the others the answers must be equal.
    """

    reason: str
    stock: int
    ours: int
    code: str
    dialects: tuple[str, ...] = BOTH


DEVIATIONS: dict[str, Deviation] = {}
