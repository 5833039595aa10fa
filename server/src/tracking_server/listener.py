"""The socket that the supervisor listens on and the workers accept from."""

from __future__ import annotations

import errno
import socket

from tracking_server.exit_codes import ExitCode, FatalError

_BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket on ``host`` (a name, an IPv4 or IPv6 address; "::" takes both) and ``port`` (0: any).

    Raises FatalError when the address is in use or not ours.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            message = f"another process listens on {_shown(host, port)}; end it, or choose another port with --port"
            raise FatalError(message, ExitCode.ADDRESS_IN_USE) from error
        message = f"cannot listen on {_shown(host, port)}: {error.strerror or error}"
        raise FatalError(message, ExitCode.BAD_CONFIGURATION) from error
    return listener


def address_of(listener: socket.socket) -> str:
    """The listener's ``address:port`` with the port that it really has."""
    host, port = listener.getsockname()[:2]
    return _shown(host, port)


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
