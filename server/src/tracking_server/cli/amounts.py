"""Amounts in words, for tables."""

from __future__ import annotations


def bytes_in_words(size: int | None) -> str:
    """``1.4 GiB``; ``?`` for None."""
    if size is None:
        return "?"
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def seconds_in_words(seconds: float) -> str:
    """``< 1 s``, ``12 s``, ``3 min``, ``1.5 h``."""
    if seconds < 1:
        return "< 1 s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
