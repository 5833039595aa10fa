"""HTTP/1.1 as bytes, so that a test can send what no client library would."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from support.processes import LOCALHOST

JSON = "application/json"
_PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, its header names in lower case, and how long it took in seconds."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    def value(self) -> Any:
        """The body's JSON. Raises ValueError."""
        return json.loads(self.body)


class Closed(Exception):
    """The server closed the connection before a whole answer came."""


def head(method: str, target: bytes, headers: Sequence[tuple[str, str]] = ()) -> bytes:
    """The request line and the headers, with the empty line that ends them."""
    lines = [method.encode() + b" " + target + b" HTTP/1.1", b"Host: localhost"]
    lines += [f"{name}: {value}".encode("latin-1") for name, value in headers]
    return b"\r\n".join([*lines, b"", b""])


class Wire:
    """One connection, opened anew when the server has closed it. Raises TimeoutError when no answer comes."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._rest = b""

    def ask(
        self,
        method: str,
        target: bytes | str,
        body: bytes | None = None,
        *,
        content_type: str | None = JSON,
        headers: Sequence[tuple[str, str]] = (),
    ) -> Answer:
        """Sends a request with its length, and reads the answer; once more where a kept connection had ended."""
        fields = list(headers)
        if body is not None:
            fields.append(("Content-Length", str(len(body))))
            if content_type is not None:
                fields.append(("Content-Type", content_type))
        target = target.encode("latin-1") if isinstance(target, str) else target
        data = head(method, target, fields) + (body or b"")
        for attempt in (1, 2):
            kept = self._socket is not None
            try:
                return self.exchange(data, is_head=method == "HEAD")
            except Closed:
                if not kept or attempt == 2:
                    raise
        raise AssertionError("unreachable")

    def exchange(self, data: bytes, *, is_head: bool = False) -> Answer:
        """Sends these bytes and reads one answer."""
        began = time.monotonic()
        # It may have answered before it had read everything.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send(data)
        return self.answer(began, is_head=is_head)

    def send(self, data: bytes) -> None:
        """Sends bytes, on the open connection or a new one."""
        if self._socket is None:
            self._socket = socket.create_connection((LOCALHOST, self._port), timeout=_PATIENCE)
            self._rest = b""
        self._socket.sendall(data)

    def answer(self, began: float | None = None, *, is_head: bool = False) -> Answer:
        """The next answer."""
        began = time.monotonic() if began is None else began
        try:
            lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
            status = int(lines[0].split()[1])
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
            body = b"" if is_head or status in (204, 304) else self._body(headers)
        except (Closed, ConnectionResetError) as error:
            self.close()
            raise Closed(str(error)) from error
        if headers.get("connection") == "close":
            self.close()
        return Answer(status, headers, body, time.monotonic() - began)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _body(self, headers: dict[str, str]) -> bytes:
        if "content-length" in headers:
            return self._exactly(int(headers["content-length"]))
        if headers.get("transfer-encoding") != "chunked":
            raise Closed("an answer without a length")
        body = b""
        while size := int(self._until(b"\r\n"), 16):
            body += self._exactly(size)
            self._until(b"\r\n")
        self._until(b"\r\n")
        return body

    def _until(self, end: bytes) -> bytes:
        while end not in self._rest:
            self._read()
        found, _, self._rest = self._rest.partition(end)
        return found

    def _exactly(self, count: int) -> bytes:
        while len(self._rest) < count:
            self._read()
        found, self._rest = self._rest[:count], self._rest[count:]
        return found

    def _read(self) -> None:
        assert self._socket is not None
        data = self._socket.recv(65536)
        if not data:
            raise Closed(f"the server closed the connection after {self._rest[:200]!r}")
        self._rest += data
