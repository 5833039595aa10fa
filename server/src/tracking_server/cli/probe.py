"""``tracking-server probe``: what a service manager asks every few seconds, so it loads as little as can be.

The settings' loader alone would take longer than the question; the few settings that matter here are read by hand, by
its rules: the environment wins over the file.
"""

from __future__ import annotations

import os
import socket
import tomllib
from pathlib import Path
from typing import Any

import click

from tracking_server.exit_codes import ExitCode, FatalError

_PATHS = {"alive": "/health", "ready": "/-/ready"}
_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  compared, not bound
_REASON_LENGTH = 2000


@click.command("probe")
@click.argument("level", type=click.Choice(list(_PATHS)))
@click.option(
    "--config",
    "-c",
    "config_file",
    type=click.Path(path_type=Path),
    envvar="TRACKING_SERVER_CONFIG",
    metavar="FILE",
    help="TOML file with the server's settings.",
)
@click.option("--timeout", default=3.0, show_default=True, help="Seconds to wait for the answer.")
def command(level: str, config_file: Path | None, timeout: float) -> None:
    """Ask the server that runs on this machine whether it is ALIVE (answers) or READY (may get requests).

    Ends with 0, or with 5 and the reason on standard error. The server's own certificate is trusted, whoever signed it.
    """
    server = _settings(config_file)
    path = f"{server.get('static_prefix', '')}{_PATHS[level]}"
    status, body = _get(server, path, timeout)
    if status != 200:
        raise FatalError(f"{path} answered {status}: {body[:_REASON_LENGTH]}", ExitCode.UNREACHABLE)


def _settings(config_file: Path | None) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if config_file is not None:
        try:
            settings = tomllib.loads(config_file.read_text("utf-8")).get("server", {})
        except (OSError, ValueError) as error:
            raise FatalError(f"{config_file} cannot be read: {error}", ExitCode.BAD_CONFIGURATION) from error
    for name in ("host", "port", "static_prefix", "tls_certificate", "allowed_hosts"):
        from_environment = os.environ.get(f"TRACKING_SERVER_SERVER_{name.upper()}")
        if from_environment is not None:
            settings[name] = from_environment
    return settings


def _get(server: dict[str, Any], path: str, timeout: float) -> tuple[int, str]:
    host, port = str(server.get("host", "127.0.0.1")), int(server.get("port", 5000))
    address = (_EVERYWHERE.get(host, host), port)
    try:
        with socket.create_connection(address, timeout) as connection:
            if server.get("tls_certificate"):
                connection = _secured(connection, str(server["tls_certificate"]))
            connection.sendall(f"GET {path} HTTP/1.0\r\nHost: {_allowed_host(server)}\r\n\r\n".encode())
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
    except OSError as error:
        message = f"no answer from {address[0]}:{port}: {error}"
        raise FatalError(message, ExitCode.UNREACHABLE) from error
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(b"\r\n")[0].split(b" ")
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise FatalError(f"something else than this server answers at {address[0]}:{port}", ExitCode.UNREACHABLE)
    return int(words[1]), body.decode(errors="replace")


def _allowed_host(server: dict[str, Any]) -> str:
    """A Host header that the server answers."""
    allowed = server.get("allowed_hosts", "localhost")
    first = allowed.split(",")[0].strip() if isinstance(allowed, str) else allowed[0]
    return str(first).replace("*", "0")


def _secured(connection: socket.socket, certificate: str) -> socket.socket:
    # Here, because it takes as long to load as all the rest.
    import ssl

    context = ssl.create_default_context(cafile=certificate)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    return context.wrap_socket(connection)
