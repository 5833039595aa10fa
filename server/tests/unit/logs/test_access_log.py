"""Lines of answered requests are those that ``logging`` would write, and come out together."""

from __future__ import annotations

import asyncio
import io
import logging
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking_server import logs
from tracking_server.access_log import AccessLog
from tracking_server.config import LogFormat, LoggingSettings, LogLevel

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class _Stream(io.StringIO):
    """Counts the writes."""

    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)


def written(count: int = 1, path: str = "/health", **settings: Any) -> _Stream:
    """What is written for so many requests in one turn of the event loop."""
    stream = _Stream()

    async def log() -> None:
        access_log = AccessLog(LoggingSettings(**settings), stream)
        for _ in range(count):
            access_log.add("some-id", "GET", path, 200, "runs.get", 0.0123)
        assert stream.getvalue() == ""

    asyncio.run(log())
    return stream


@given(path=st.text(), log_format=st.sampled_from(LogFormat))
def test_a_line_is_the_one_that_logging_would_write(path: str, log_format: LogFormat) -> None:
    formatter = logs.JsonFormatter() if log_format is LogFormat.JSON else logs.PlainFormatter()
    fields = {
        "name": logs.ACCESS_LOGGER,
        "levelname": "INFO",
        "msg": "%s %s %d",
        "args": ("GET", path, 200),
        "route": "runs.get",
        "milliseconds": 12.3,
    }
    with logs.request_context("some-id"):
        expected = formatter.format(logging.makeLogRecord(fields))
    line = written(path=path, format=log_format).getvalue()
    assert _TIME.sub("now", line, count=1) == _TIME.sub("now", expected, count=1) + "\n"


def test_lines_of_one_turn_are_written_at_once() -> None:
    stream = written(3)
    assert (stream.writes, stream.getvalue().count("\n")) == (1, 3)


@pytest.mark.parametrize("settings", [{"access": False}, {"level": LogLevel.WARNING}], ids=str)
def test_nothing_is_written_where_it_is_not_wanted(settings: dict[str, Any]) -> None:
    assert written(**settings).writes == 0


def test_a_stream_that_takes_no_more_fails_no_request() -> None:
    stream = _Stream()
    stream.close()

    async def log() -> None:
        access_log = AccessLog(LoggingSettings(), stream)
        access_log.add("some-id", "GET", "/health", 200, "health", 0.1)
        access_log.flush()

    asyncio.run(log())
