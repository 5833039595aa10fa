"""One request and its answer over ASGI: body limits, request ids, and headers that every answer carries."""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from tracking_server.config import LimitSettings
from tracking_server.errors import ErrorCode, MlflowError
from tracking_server.web import (
    ANSWER_WHOLE,
    JSON_HEADERS,
    WHOLE_BODY,
    Answer,
    ClientDisconnected,
    HeaderList,
    Request,
    Response,
)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# Of this process, and then counted: an id tells requests apart, and is no secret.
_OWN_IDS = secrets.token_hex(4)
_numbers = itertools.count(1)
_REQUEST_ID = re.compile(rb"[!-~]{1,128}\Z")

# A client slower than this is as good as stalled: a byte now and then must not hold a connection for ever.
_LEAST_BYTES_PER_SECOND = 1024


class Exchange:
    """Reads the body of one ASGI request and sends its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: LimitSettings) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._limits = limits
        self._body_read = False
        self._patience = limits.body_timeout

    def request(self, path: str, first_headers: dict[bytes, bytes]) -> Request:
        """The request as handlers see it; ``path`` is without the static prefix. ``first_headers`` as there."""
        scope = self._scope
        client = scope.get("client")
        return Request(
            scope["method"],
            path,
            scope["raw_path"],
            scope["query_string"],
            scope["headers"],
            request_id_of(first_headers.get(b"x-request-id")),
            self.read_body,
            self.stream_body,
            client_host=client[0] if client else "",
            scheme=scope["scheme"],
            wait_disconnect=self.wait_disconnect,
            first_headers=first_headers,
        )

    async def read_body(self) -> bytes:
        """The whole body. Raises MlflowError 413 above ``max_json_body``, and 408 when it stalls or drips."""
        extension = self._scope.get("extensions", {}).get(WHOLE_BODY)
        body: bytes | None = extension["take"]() if extension is not None and not self._body_read else None
        if body is not None:
            # Nearly always: then there is nothing to wait for, nor to limit the wait for (bench: log-metric).
            self._body_read = True
            self._check_size(len(body))
            return body
        first, more = await self._next_chunk()
        if not more:
            self._check_size(len(first))
            return first
        chunks = [first]
        size = len(first)
        while more:
            self._check_size(size)
            chunk, more = await self._next_chunk()
            chunks.append(chunk)
            size += len(chunk)
        self._check_size(size)
        return b"".join(chunks)

    async def stream_body(self) -> AsyncIterator[bytes]:
        """The body's chunks as they arrive. Raises MlflowError 408 when they stall or drip."""
        more = not self._body_read
        while more:
            chunk, more = await self._next_chunk()
            if chunk:
                yield chunk

    async def wait_disconnect(self) -> None:
        """Returns when the client has closed the connection."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def answer(self, answer: Answer, extra_headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Sends an answer, without its body where the method is HEAD."""
        is_head = self._scope["method"] == "HEAD"
        headers = [*answer.headers, *extra_headers]
        if isinstance(answer, Response):
            body = b"" if is_head else answer.body
            given = answer.headers is not JSON_HEADERS and any(name == b"content-length" for name, _ in headers)
            if not given and answer.status not in (204, 304):
                headers.append((b"content-length", b"%d" % len(answer.body)))
            if not given and self._send_whole(answer.status, headers, body):
                return
            await self._start(answer.status, headers)
            await self._send({"type": "http.response.body", "body": body})
            return
        try:
            await self._start(answer.status, headers)
            if not is_head:
                async for chunk in answer.chunks:
                    await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
            await self._send({"type": "http.response.body", "body": b""})
        finally:
            # A generator or stream that is left early holds a connection or a file until it is closed.
            close = getattr(answer.chunks, "aclose", None)
            if close is not None:
                await close()

    def _send_whole(self, status: int, headers: HeaderList, body: bytes) -> bool:
        """Sends the answer without a turn through ASGI's messages, if that can be (bench: log-metric)."""
        extension = self._scope.get("extensions", {}).get(ANSWER_WHOLE)
        if extension is None:
            return False
        sent: bool = extension["send"](status, headers, body, close=self._must_close(status))
        return sent

    async def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        if self._must_close(status):
            headers.append((b"connection", b"close"))
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    def _must_close(self, status: int) -> bool:
        return status in (408, 413) and not self._body_read

    async def _next_chunk(self) -> tuple[bytes, bool]:
        limit = self._limits.body_timeout
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._patience):
                event = await self._receive()
        except TimeoutError:
            message = f"The request body stalled or dripped for {limit:g} seconds."
            raise MlflowError(message, ErrorCode.BAD_REQUEST, status=408) from None
        waited = asyncio.get_running_loop().time() - began
        earned = len(event.get("body", b"")) / _LEAST_BYTES_PER_SECOND
        self._patience = min(limit, max(0.0, self._patience - waited) + earned)
        if event["type"] == "http.disconnect":
            raise ClientDisconnected
        more = event.get("more_body", False)
        self._body_read = not more
        return event.get("body", b""), more

    def _check_size(self, size: int) -> None:
        limit = self._limits.max_json_body
        if size > limit:
            raise MlflowError(f"The request body exceeds {limit} bytes.", ErrorCode.BAD_REQUEST, status=413)


def request_id_of(given: bytes | None) -> str:
    """The client's X-Request-ID if it is printable ASCII of at most 128 characters, else a new one."""
    if given is not None and _REQUEST_ID.match(given):
        return given.decode("ascii")
    return f"{_OWN_IDS}{next(_numbers):08x}"
