"""What a log line looks like, and that nobody can forge one."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking_server import logs
from tracking_server.config import LogFormat, LoggingSettings, LogLevel


@pytest.fixture(autouse=True)
def _restored_root() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    logging.captureWarnings(False)
    logging.getLogger(logs.ACCESS_LOGGER).disabled = False


def set_up(**settings: Any) -> io.StringIO:
    stream = io.StringIO()
    logs.setup(LoggingSettings(**settings), stream)
    return stream


def test_json_lines_carry_level_logger_request_id_and_fields() -> None:
    stream = set_up(format=LogFormat.JSON)
    with logs.request_context("abc"):
        logging.getLogger("a.b").warning("hello %s", "wörld", extra={"route": "runs.get", "seconds": 0.5})
    logging.getLogger("a.b").info("later")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first.pop("time").endswith("Z")
    assert first == {
        "level": "warning",
        "logger": "a.b",
        "message": "hello wörld",
        "request_id": "abc",
        "route": "runs.get",
        "seconds": 0.5,
    }
    assert "request_id" not in second


def test_plain_lines_carry_the_same() -> None:
    stream = set_up()
    with logs.request_context("abc"):
        logging.getLogger("a.b").warning("hello", extra={"route": "runs.get"})
    _, _, rest = stream.getvalue().partition("Z ")
    assert rest == "WARNING hello route=runs.get [abc]\n"


@pytest.mark.parametrize("log_format", list(LogFormat))
def test_an_exception_is_logged_with_its_traceback(log_format: LogFormat) -> None:
    stream = set_up(format=log_format)
    try:
        raise KeyError("gone")
    except KeyError:
        logging.getLogger("a").exception("failed")
    lines = stream.getvalue().splitlines()
    text = json.loads(lines[0])["exception"] if log_format is LogFormat.JSON else "\n".join(lines[1:])
    assert text.startswith("Traceback")
    assert text.endswith("KeyError: 'gone'")


@given(text=st.text(), log_format=st.sampled_from(LogFormat))
def test_what_a_client_sends_stays_in_its_line(text: str, log_format: LogFormat) -> None:
    stream = set_up(format=log_format)
    with logs.request_context(text):
        logging.getLogger("a").info("path %s", text, extra={"agent": text})
    written = stream.getvalue()
    assert written.endswith("\n")
    assert written.count("\n") == 1
    assert "\r" not in written
    assert "\x1b" not in written


def test_the_level_and_the_access_log_follow_the_settings() -> None:
    stream = set_up(level=LogLevel.WARNING, access=False)
    logging.getLogger("a").info("quiet")
    logging.getLogger(logs.ACCESS_LOGGER).error("quiet")
    assert stream.getvalue() == ""
    set_up(level=LogLevel.WARNING, access=True)
    assert logging.getLogger(logs.ACCESS_LOGGER).isEnabledFor(logging.WARNING)


def test_set_up_twice_logs_once(capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup(LoggingSettings())
    logs.setup(LoggingSettings())
    logging.getLogger("a").info("once")
    captured = capsys.readouterr()
    assert captured.err.count("once") == 1
    assert captured.out == ""
    assert sys.stderr is not None


def test_a_childs_lines_are_labelled_and_keep_their_level() -> None:
    stream = set_up(format=LogFormat.JSON)
    logs.ChildLines("stock").relay_all(
        [
            b"INFO:     Uvicorn running on unix socket\n",
            b"2026/01/31 12:00:00 WARNING mlflow.server: careful\n",
            b"[2026-01-31 12:00:00 +0000] [71] [ERROR] worker lost\n",
            b"\x1b[32mINFO\x1b[0m:     coloured \xff\n",
            b"\n",
            b"Traceback (most recent call last):\n",
            b'  File "x.py", line 1\n',
            b"ValueError: bad\n",
            b"plain text\n",
        ]
    )
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["level"], line["message"]) for line in lines] == [
        ("info", "stock | INFO:     Uvicorn running on unix socket"),
        ("warning", "stock | 2026/01/31 12:00:00 WARNING mlflow.server: careful"),
        ("error", "stock | [2026-01-31 12:00:00 +0000] [71] [ERROR] worker lost"),
        ("info", "stock | INFO:     coloured \N{REPLACEMENT CHARACTER}"),
        ("error", "stock | Traceback (most recent call last):"),
        ("error", 'stock |   File "x.py", line 1'),
        ("error", "stock | ValueError: bad"),
        ("info", "stock | plain text"),
    ]
    assert {line["source"] for line in lines} == {"stock"}
