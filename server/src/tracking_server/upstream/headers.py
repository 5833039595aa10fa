"""What of a message's header goes across to stock MLflow, and what comes back."""

from __future__ import annotations

from tracking_server.web import HeaderList, Request

# RFC 9110 7.6.1. Names listed in Connection are not dropped as well: a client could so hide from stock a header
# that the door has judged the request by.
_HOP_BY_HOP = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"),
        *(b"te", b"trailer", b"transfer-encoding", b"upgrade", b"http2-settings"),
    }
)
# The door has answered Expect and writes the other four itself: stock trusts them, so a client must not set them.
_NOT_REQUESTED = _HOP_BY_HOP | {b"expect", b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-request-id"}
_NOT_ANSWERED = _HOP_BY_HOP | {b"date", b"server", b"x-request-id"}


def for_stock(request: Request) -> list[tuple[str, str]]:
    """The header to send: the client's, with the client's address, scheme and request id as the door resolved them."""
    headers = [(_text(name), _text(value)) for name, value in request.headers if name not in _NOT_REQUESTED]
    if request.client_host:
        headers.append(("x-forwarded-for", request.client_host))
    headers.append(("x-forwarded-proto", request.scheme))
    headers.append(("x-request-id", request.request_id))
    return headers


def for_client(raw: HeaderList, status: int) -> list[tuple[bytes, bytes]]:
    """The header of stock's answer, names in lower case, without what belongs to the connection.

    A 503 says when to come back: stock's own, when its database is away, does not.
    """
    headers = [(name.lower(), value) for name, value in raw]
    without_body = status in (204, 304)
    if status == 503 and all(name != b"retry-after" for name, _ in headers):
        headers.append((b"retry-after", b"5"))
    return [
        (name, value)
        for name, value in headers
        if name not in _NOT_ANSWERED and not (without_body and name == b"content-length")
    ]


def has_body(request: Request) -> bool:
    """Whether the request's header announces a body (RFC 9112 6)."""
    if request.header(b"transfer-encoding") is not None:
        return True
    return (request.header(b"content-length") or b"0").strip(b"0 ") != b""


def _text(value: bytes) -> str:
    # The HTTP client sends UTF-8; Latin-1 reads whatever else there is.
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
