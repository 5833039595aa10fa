"""Long texts of searches are read beside the event loop."""

from __future__ import annotations

import threading

import pytest

from tracking_server.api.planning import planned
from tracking_server.errors import MlflowError, invalid_parameter


def thread_of(*texts: object) -> int:
    return threading.get_ident()


@pytest.mark.parametrize(
    ("arguments", "beside"),
    [
        (("a = 1", ["name"], 5, None), False),
        (("a" * 501,), True),
        ((["name"] * 200,), True),
    ],
)
async def test_long_texts_go_to_a_thread(arguments: tuple[object, ...], beside: bool) -> None:
    assert (await planned(thread_of, *arguments) != threading.get_ident()) is beside


async def test_an_error_comes_back_from_the_thread() -> None:
    def refuse(text: str) -> None:
        raise invalid_parameter(text[:3])

    with pytest.raises(MlflowError, match="xxx"):
        await planned(refuse, "x" * 10_000)
