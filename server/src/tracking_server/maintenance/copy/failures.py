"""What ends a copy, each with its exit code and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

from tracking_server.exit_codes import FatalError

_MOST_SHOWN = 20


class CopyFailed(FatalError):
    """The copy cannot go on; what it has written so far is kept, and the same command goes on from there."""


class Refused(CopyFailed):
    """Rows or files that the target cannot hold: ``problems`` says which, one line each."""

    def __init__(self, summary: str, problems: Sequence[str]) -> None:
        shown = list(problems[:_MOST_SHOWN])
        if len(problems) > _MOST_SHOWN:
            shown.append(f"… and {len(problems) - _MOST_SHOWN} more")
        super().__init__("\n  ".join([summary, *shown]))
        self.problems = tuple(problems)
