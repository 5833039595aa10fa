"""Reading items of order_by: the words of a shell, but soon."""

from __future__ import annotations

import contextlib
import shlex
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking_server.errors import MlflowError
from tracking_server.search.order_by import parse_order_by, shell_words


@given(st.text(alphabet="ab`'\"\\ \t\n#$é;", max_size=20))
def test_words_are_the_shells(text: str) -> None:
    try:
        expected = shlex.split(text)
    except ValueError:
        with pytest.raises(ValueError, match="open quote"):
            shell_words(text)
    else:
        assert shell_words(text) == expected


@pytest.mark.parametrize(
    "text", ["x" * 1_000_000, "`" + "x" * 1_000_000 + "` DESC", "a." * 300_000, '"' + "\\" * 500_000]
)
def test_a_megabyte_is_read_or_refused_soon(text: str) -> None:
    began = time.monotonic()
    with contextlib.suppress(MlflowError):
        parse_order_by(text)
    assert time.monotonic() - began < 20
