"""Turning a search's texts into a statement, without keeping other requests waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# sqlparse takes 20 to 100 microseconds a character, and up to a second for the longest text that it reads.
_LONG_TEXT = 500


async def planned(page: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """``page(*arguments)``, on a thread where its texts (filter, order_by) are long to read."""
    if sum(map(_characters, arguments)) > _LONG_TEXT:
        return await asyncio.to_thread(page, *arguments, **options)
    return page(*arguments, **options)


def _characters(argument: object) -> int:
    if isinstance(argument, str):
        return len(argument)
    return sum(map(_characters, argument)) if isinstance(argument, list) else 0
