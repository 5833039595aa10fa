"""What a handler sees of HTTP: a request, a response, nothing of the server that carries them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

HeaderList = Sequence[tuple[bytes, bytes]]
JSON_HEADERS: HeaderList = ((b"content-type", b"application/json"),)
WHOLE_BODY = "tracking_server.whole_body"
"""The ASGI extension that hands out a body that has arrived: its "take" returns it, or None if more is to come."""
ANSWER_WHOLE = "tracking_server.answer_whole"
"""The ASGI extension that takes a whole answer: its "send" takes status, headers, body and whether to hang up.

The headers must give the body's length. False, and nothing is sent, where the client's buffer is full.
"""


class ClientDisconnected(Exception):
    """The client went away before its request was answered, so there is nobody to answer."""


@dataclass(slots=True)
class Request:
    """One request, resolved once at the door.

    ``path`` is percent-decoded and without the configured static prefix, ``raw_path`` as it came on the wire;
    ``path_params`` are the values of the route's ``{name}`` parts. The body is read by ``body`` (whole, at most
    the configured limit) or by ``stream`` (as it arrives); once read whole it can be read again.

    ``client_host`` is the client's address ("" where unknown) and ``scheme`` http or https, both as a trusted proxy
    reports them. ``wait_disconnect`` returns when the client has gone; call it after the body was read to its end.
    ``first_headers`` are the headers by name, of several the first.
    """

    method: str
    path: str
    raw_path: bytes
    query_string: bytes
    headers: HeaderList
    request_id: str
    read_body: Callable[[], Awaitable[bytes]]
    stream_body: Callable[[], AsyncIterator[bytes]]
    path_params: dict[str, str] = field(default_factory=dict)
    client_host: str = ""
    scheme: str = "http"
    wait_disconnect: Callable[[], Awaitable[None]] | None = None
    first_headers: dict[bytes, bytes] | None = None
    _body: bytes | None = None

    def header(self, name: bytes) -> bytes | None:
        """The first value of the header ``name`` (lower case), or None."""
        if self.first_headers is None:
            self.first_headers = dict(reversed(self.headers))
        return self.first_headers.get(name)

    async def body(self) -> bytes:
        """The whole body. Raises MlflowError 413 above the limit for JSON bodies, 408 when it stalls."""
        if self._body is None:
            self._body = await self.read_body()
        return self._body

    async def stream(self) -> AsyncIterator[bytes]:
        """The body's chunks as they arrive, without a size limit; the whole body if it was read already."""
        if self._body is not None:
            yield self._body
            return
        async for chunk in self.stream_body():
            yield chunk


@dataclass(slots=True)
class Response:
    """A response whose body is at hand; content-length is added by the door."""

    status: int = 200
    body: bytes = b""
    headers: HeaderList = JSON_HEADERS


@dataclass(slots=True)
class StreamingResponse:
    """A response sent chunk by chunk. ``headers`` carry content-length where it is known."""

    status: int
    headers: HeaderList
    chunks: AsyncIterator[bytes]


Answer = Response | StreamingResponse


def text_response(text: str, status: int = 200, content_type: bytes = b"text/html; charset=utf-8") -> Response:
    """A short text answer, by default with the content type that Flask gives a bare string."""
    return Response(status, text.encode(), ((b"content-type", content_type),))
