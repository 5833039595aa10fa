"""A persistent HTTP/1.1 connection that sends exactly what a script says."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from differential.harness.script import Sent

_TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class BareNumber:
    """A NaN or Infinity written without quotes, which JSON does not have but MLflow sometimes answers."""

    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered. ``began`` and ``ended`` are milliseconds since the epoch."""

    status: int
    content_type: str
    body: bytes
    began: int
    ended: int

    def value(self) -> object:
        """The JSON value, or the text where the body is not JSON."""
        text = self.body.decode("utf-8", "backslashreplace")
        if not self.content_type.startswith("application/json"):
            return text
        try:
            value: object = json.loads(text, parse_constant=BareNumber)
        except ValueError:
            return text
        return value


class Exchanges(Protocol):
    """What the harness needs of a connection."""

    def exchange(self, sent: Sent) -> Answer: ...

    def close(self) -> None: ...


class Connection:
    """One keep-alive connection to ``url``; it reconnects when the server closed it between two requests."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.hostname is None or parts.port is None:
            raise ValueError(f"a URL with host and port is needed, not {url!r}")
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=_TIMEOUT_SECONDS)

    def exchange(self, sent: Sent) -> Answer:
        """Sends one request and reads its whole answer. Raises OSError or HTTPException when there is none."""
        began = _now()
        try:
            try:
                response = self._send(sent)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self._connection.close()
                response = self._send(sent)
            body = response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise
        return Answer(response.status, response.getheader("Content-Type", ""), body, began, _now())

    def _send(self, sent: Sent) -> http.client.HTTPResponse:
        self._connection.putrequest(sent.method, sent.target, skip_accept_encoding=True)
        for name, value in sent.headers:
            self._connection.putheader(name, value)
        if sent.body is not None:
            self._connection.putheader("Content-Length", str(len(sent.body)))
        elif sent.method in ("POST", "PUT", "PATCH"):
            self._connection.putheader("Content-Length", "0")
        self._connection.endheaders(sent.body)
        return self._connection.getresponse()

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()


def _now() -> int:
    return time.time_ns() // 1_000_000
