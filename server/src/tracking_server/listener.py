"""The sockets that the supervisor listens on and the workers accept from."""

from __future__ import annotations

import errno
import socket
import sys
from typing import Any

from tracking_server.exit_codes import ExitCode, FatalError

_BACKLOG = 2048


def listen(host: str, port: int, count: int = 1) -> list[socket.socket]:
    """Listening TCP sockets on ``host`` (a name, an IPv4 or IPv6 address; "::" takes both) and ``port`` (0: any).

    On Linux there are ``count``, among which the kernel spreads connections evenly: workers that accept from one
    socket get very unequal shares of a burst. Elsewhere there is one for all. Raises FatalError when the address is
    in use or not ours.
    """
    sockets: list[socket.socket] = []
    spread = count > 1 and sys.platform == "linux"
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        # Alone first: a shared port could be taken together with another server of ours without an error.
        first = _bound(family, address, host, shared=False)
        if not spread:
            sockets.append(first)
        else:
            address = first.getsockname()
            first.close()
            for _ in range(count):
                sockets.append(_bound(family, address, host, shared=True))
        for each in sockets:
            each.listen(_BACKLOG)
    except OSError as error:
        for each in sockets:
            each.close()
        if error.errno == errno.EADDRINUSE:
            message = f"another process listens on {_shown(host, port)}; end it, or choose another port with --port"
            raise FatalError(message, ExitCode.ADDRESS_IN_USE) from error
        message = f"cannot listen on {_shown(host, port)}: {error.strerror or error}"
        raise FatalError(message, ExitCode.BAD_CONFIGURATION) from error
    return sockets


def _bound(family: int, address: Any, host: str, *, shared: bool) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        bound.bind(address)
    except BaseException:
        bound.close()
        raise
    return bound


def address_of(listener: socket.socket) -> str:
    """The listener's ``address:port`` with the port that it really has."""
    host, port = listener.getsockname()[:2]
    return _shown(host, port)


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
