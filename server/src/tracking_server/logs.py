"""Logging on standard error, one line an event: for people, or as JSON objects, with the request's id.

Built on the standard library: code logs with ``logging.getLogger(__name__)`` and may pass ``extra={"route": …}``,
whose items become fields of the JSON object and ``key=value`` in plain lines.
"""

from __future__ import annotations

import contextvars
import datetime
import json
import logging
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO

from tracking_server.config import LogFormat, LoggingSettings

request_id: contextvars.ContextVar[str | None] = contextvars.ContextVar("request_id", default=None)
"""The id of the request being served; it stands in every line that is logged on its behalf."""

ACCESS_LOGGER = "tracking_server.access"
"""The logger of lines about requests; ``logging.access`` turns it off. See access_log.py for those answered."""

_OWN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")


def setup(settings: LoggingSettings, stream: TextIO | None = None) -> None:
    """Sends everything that is logged in this process to ``stream`` (standard error); may be called again."""
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonFormatter() if settings.format is LogFormat.JSON else PlainFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(str(settings.level).upper())
    logging.getLogger(ACCESS_LOGGER).disabled = not settings.access
    logging.captureWarnings(True)


@contextmanager
def request_context(identifier: str) -> Iterator[None]:
    """Lines that are logged inside carry this request id."""
    token = request_id.set(identifier)
    try:
        yield
    finally:
        request_id.reset(token)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, logger, message, request_id and the extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        identifier = request_id.get()
        if identifier is not None:
            line["request_id"] = identifier
        line |= _extra(record)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class PlainFormatter(logging.Formatter):
    """``2026-01-31T12:00:00.000Z INFO message key=value [request id]``; an exception follows on its own lines."""

    def format(self, record: logging.LogRecord) -> str:
        parts = [_time(record), f"{record.levelname:<7}", one_line(record.getMessage())]
        parts += [f"{name}={one_line(str(value))}" for name, value in _extra(record).items() if name != "source"]
        identifier = request_id.get()
        if identifier is not None:
            parts.append(f"[{one_line(identifier)}]")
        line = " ".join(parts)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class ChildLines:
    """Passes on what a child process prints, line by line under its label: ``stock | Uvicorn running …``.

    A line's level is read from its beginning where it names one, as MLflow's and uvicorn's lines do; a traceback's
    lines keep the level of the line before them.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._logger = logging.getLogger(f"tracking_server.{label}")
        self._level = logging.INFO

    def relay(self, line: bytes | str) -> None:
        """Logs one line; its line break is optional and an empty one is dropped."""
        text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
        text = _ANSI.sub("", text).rstrip()
        if not text:
            return
        named = _NAMED_LEVEL.match(text)
        if named is not None:
            self._level = logging.getLevelNamesMapping()[named[1]]
        elif not text.startswith((" ", "Traceback", "\t")) and not _EXCEPTION.match(text):
            self._level = logging.INFO
        elif text.startswith("Traceback"):
            self._level = logging.ERROR
        self._logger.log(self._level, "%s | %s", self._label, text, extra={"source": self._label})

    def relay_all(self, lines: Iterable[bytes | str]) -> None:
        """Logs lines until there are no more, such as those of a process's pipe."""
        for line in lines:
            self.relay(line)


_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_NAMED_LEVEL = re.compile(
    r"(?:\[?\d{4}[-/]\d\d[-/]\d\d[ T][\d:.,]+(?: ?[+-]\d{4})?\]? )?(?:\[\d+\] )?"
    r"\[?(DEBUG|INFO|WARNING|ERROR|CRITICAL)\b"
)
_EXCEPTION = re.compile(r"[\w.]*(?:Error|Exception|Warning)\b")


def _time(record: logging.LogRecord) -> str:
    moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _OWN_ATTRIBUTES}


def one_line(text: str) -> str:
    """``text`` with what could end a line, or move a terminal's cursor, escaped."""
    # A client chooses part of what is logged; it must not be able to begin a line of its own.
    if text.isprintable():
        return text
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
