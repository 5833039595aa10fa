"""uvicorn's HTTP/1.1 protocol, with limits on what a client may send before a request exists, and MLflow's error body.

Past the header a request is the application's: its body has its own limits there.
"""

from __future__ import annotations

import asyncio
import http
import logging
import secrets
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from tracking_server.config import LimitSettings
from tracking_server.errors import ErrorCode, MlflowError
from tracking_server.logs import ACCESS_LOGGER, request_context
from tracking_server.web import ANSWER_WHOLE, WHOLE_BODY, HeaderList

_access = logging.getLogger(ACCESS_LOGGER)

# A client that is still sending gets a reset instead of the answer unless we read on for a while.
_LINGER = 2.0
# How long a new connection may take for its first request when the server is stopping.
_LAST_REQUEST = 0.5


_STATUS_LINES = {status.value: b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode()) for status in http.HTTPStatus}
_CLOSE = (b"connection", b"close")


class Cycle(RequestResponseCycle):
    """One request and its answer, with short ways for what is whole (bench: health, log-metric)."""

    def whole_body(self) -> bytes | None:
        """The body, if all of it is here; then ``receive`` has nothing more but the client's leaving."""
        if self.more_body or self.disconnected or self.response_complete:
            return None
        body = bytes(self.body)
        self.body = bytearray()
        self.message_event.clear()
        return body

    def answer_whole(self, status: int, headers: HeaderList, body: bytes, *, close: bool) -> bool:
        """Sends an answer by one system call, and hangs up where ``close`` says so; as web.ANSWER_WHOLE has it."""
        if self.disconnected:
            return True
        if self.flow.write_paused:
            return False
        self.response_started = True
        self.waiting_for_100_continue = False
        if close:
            self.keep_alive = False
        ending = () if self.keep_alive else (_CLOSE,)
        head = _head(status, (*self.default_headers, *headers, *ending))
        self.transport.writelines((head, body) if body else (head,))
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
        return True


class LimitedHttpToolsProtocol(HttpToolsProtocol):
    """One connection. ``limits`` is set by ``limited_protocol``."""

    limits: LimitSettings

    _awaiting_header = True
    _header_bytes = 0
    _answers_due = 0
    _header_timer: asyncio.TimerHandle | None = None
    _refusal: MlflowError | None = None
    _closed_to_input = False
    _last_request = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self._start_header_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_header_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._closed_to_input:
            return
        if self._awaiting_header:
            self._header_bytes += len(data)
        super().data_received(data)
        if self._closed_to_input or not self._awaiting_header:
            return
        if self._header_bytes > self.limits.max_header:
            self._refuse(_header_too_large(self.limits))
            return
        untimed = self._header_timer is None and self.timeout_keep_alive_task is None
        if untimed and (self._header_bytes or not self._answers_due):
            self._start_header_timer()

    def on_headers_complete(self) -> None:
        self._awaiting_header = False
        self._stop_header_timer()
        self._check_limits()
        version = self.parser.get_http_version()
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        scope = self.scope
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = url.path
        scope["query_string"] = url.query or b""
        previous = self.cycle
        self.cycle = cycle = Cycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive() and not self._last_request,
            on_response=self.on_response_complete,
        )
        scope["extensions"] = {WHOLE_BODY: {"take": cycle.whole_body}, ANSWER_WHOLE: {"send": cycle.answer_whole}}
        self._answers_due += 1
        if previous is None or previous.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def on_message_complete(self) -> None:
        self._awaiting_header = True
        self._header_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._answers_due -= 1
        super().on_response_complete()
        if self._closed_to_input and not self._answers_due:
            self.transport.close()

    def shutdown(self) -> None:
        """Called when the server stops. A connection that was just accepted may have its request on the way."""
        if self.cycle is None and not self._closed_to_input:
            self._last_request = True
            self.loop.call_later(_LAST_REQUEST, self._close_unless_asked)
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn for whatever its parser, or a callback of ours, does not accept."""
        self._refuse(self._refusal or MlflowError("The request is not valid HTTP/1.1", ErrorCode.BAD_REQUEST))

    def _check_limits(self) -> None:
        limit = self.limits.max_header
        if len(self.url) > limit // 2:
            self._fail(MlflowError("The URL of the request is too long", ErrorCode.BAD_REQUEST, status=414))
        # What arrived since the last request is no less than its header.
        if self._header_bytes > limit:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > limit:
                self._fail(_header_too_large(self.limits))
        if len(self.tasks) >= self.limits.max_concurrent:
            busy = "The server handles as many requests as it can at a time; try again"
            self._fail(
                MlflowError(busy, ErrorCode.TEMPORARILY_UNAVAILABLE, headers=((b"retry-after", b"1"),)),
            )

    def _unsupported_upgrade_warning(self) -> None:
        """Says nothing: a request to upgrade is answered as if it had not asked, and a client could fill the log."""

    def _fail(self, error: MlflowError) -> None:
        # The parser turns an exception in a callback into its own error, which ends in send_400_response.
        self._refusal = error
        raise error

    def _refuse(self, error: MlflowError) -> None:
        """Answers ``error`` unless an answer has begun, takes nothing more from the client, and hangs up."""
        self._closed_to_input = True
        self._stop_header_timer()
        cycle = self.cycle
        if self._answers_due:
            # What broke is the newest request's own body, or else the header after it. Answers that are due come
            # first, and the connection ends with them (on_response_complete).
            waiting = any(queued is cycle for queued, _ in self.pipeline)
            if waiting and cycle.more_body:
                self.pipeline.popleft()
                self._answers_due -= 1
            if waiting or not cycle.more_body:
                return
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.close()
                return
        identifier = secrets.token_hex(8)
        if not _access.disabled:
            with request_context(identifier):
                _access.info("refused before a request %d", error.status, extra={"reason": error.message})
        body = error.body()
        fields = [
            *self.server_state.default_headers,
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            _CLOSE,
            (b"x-request-id", identifier.encode()),
            *error.headers,
        ]
        self.transport.write(_head(error.status, fields) + body)
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.loop.call_later(_LINGER, self.transport.close)
        else:
            self.transport.close()

    def _close_unless_asked(self) -> None:
        if self.cycle is None:
            self.transport.close()

    def _start_header_timer(self) -> None:
        self._header_timer = self.loop.call_later(self.limits.header_timeout, self._on_header_timeout)

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _on_header_timeout(self) -> None:
        self._header_timer = None
        if self.transport.is_closing():
            return
        if self._header_bytes:
            self._refuse(MlflowError("The request's header took too long to arrive", ErrorCode.BAD_REQUEST, status=408))
        elif not self._answers_due:
            self.transport.close()


def limited_protocol(limits: LimitSettings) -> type[asyncio.Protocol]:
    """The protocol class for uvicorn's ``http`` option, with ``limits`` in it."""
    attributes: dict[str, Any] = {"limits": limits}
    return type("LimitedHttpToolsProtocol", (LimitedHttpToolsProtocol,), attributes)


def _head(status: int, headers: HeaderList) -> bytes:
    """An answer up to its body. Raises RuntimeError for a header that would break it."""
    first = _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
    lines = [first, *[b"%b: %b\r\n" % header for header in headers], b"\r\n"]
    head = b"".join(lines)
    if not head.count(b"\n") == head.count(b"\r") == len(lines) or b"\0" in head:
        raise RuntimeError("a header of the answer has a control character")
    return head


def _header_too_large(limits: LimitSettings) -> MlflowError:
    message = f"The request's header is larger than {limits.max_header} bytes"
    return MlflowError(message, ErrorCode.BAD_REQUEST, status=431)
