"""The access log: a line for each request that was answered, among those of ``logs``."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import suppress
from typing import TextIO

from tracking_server.config import LogFormat, LoggingSettings, LogLevel
from tracking_server.logs import ACCESS_LOGGER, one_line

_as_json = json.JSONEncoder(ensure_ascii=False).encode


class AccessLog:
    """Writes to ``stream`` (standard error) what ``logs``'s formatters would, for a fifth of the time.

    A record of ``logging`` for each request took a quarter of a small write's (bench: log-metric). Lines that come in
    one turn of the event loop are written at once, at its end.
    """

    def __init__(self, settings: LoggingSettings, stream: TextIO | None = None) -> None:
        self._enabled = settings.access and settings.level in (LogLevel.DEBUG, LogLevel.INFO)
        self._line = _json_line if settings.format is LogFormat.JSON else _plain_line
        self._stream = sys.stderr if stream is None else stream
        self._lines: list[str] = []
        self._second = 0
        self._second_text = ""

    def add(self, request_id: str, method: str, path: str, status: int, route: str, seconds: float) -> None:
        """Logs a request to ``path`` (decoded), answered after ``seconds``; call it in an event loop."""
        if not self._enabled:
            return
        if not self._lines:
            asyncio.get_running_loop().call_soon(self.flush)
        text = f"{method} {path} {status}"
        self._lines.append(self._line(self._now(), text, request_id, route, round(seconds * 1000, 1)))

    def flush(self) -> None:
        """Writes what waits. A stream that takes no more is no reason to fail, as in ``logging``."""
        lines, self._lines = self._lines, []
        with suppress(OSError, ValueError):
            self._stream.write("".join(lines))
            self._stream.flush()

    def _now(self) -> str:
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second = second
            self._second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._second_text}.{int((now - second) * 1000):03d}Z"


def _plain_line(moment: str, text: str, request_id: str, route: str, milliseconds: float) -> str:
    return f"{moment} INFO    {one_line(text)} route={route} milliseconds={milliseconds} [{one_line(request_id)}]\n"


def _json_line(moment: str, text: str, request_id: str, route: str, milliseconds: float) -> str:
    return (
        f'{{"time": "{moment}", "level": "info", "logger": "{ACCESS_LOGGER}", "message": {_as_json(text)},'
        f' "request_id": {_as_json(request_id)}, "route": "{route}", "milliseconds": {milliseconds}}}\n'
    )
