"""A serving process: ``python -m tracking_server.worker``, started by the supervisor and by nobody else.

Standard input brings one pickled ``Handover`` and then stays open: its end means that the supervisor is gone. The
line "ready" on standard output says that requests are accepted.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass
from types import FrameType

from tracking_server.config import Config

_ORPHAN_GRACE = 5.0
READY = b"ready\n"


@dataclass(frozen=True, slots=True)
class Handover:
    """What a worker gets: the configuration and the descriptor of the listening socket that it inherits."""

    config: Config
    listener: int


def main() -> None:
    """Serves until SIGTERM, or until the supervisor is gone; then finishes what was accepted."""
    handover: Handover = pickle.load(sys.stdin.buffer)  # noqa: S301  our own parent wrote it, on a pipe only we share
    threading.Thread(target=_outlive_not, args=(sys.stdin.fileno(),), daemon=True).start()
    # uvicorn raises the signal that ended it once more; a worker that did what it was told exits with 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ignore)
    serve(handover.config, socket.socket(fileno=handover.listener))


def serve(config: Config, listener: socket.socket) -> None:
    """Runs the application on ``listener`` with uvicorn and uvloop."""
    from tracking_server import logs

    logs.setup(config.logging)
    # Its own lines are about connections and signals, which clients cause and the supervisor tells.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)

    import uvicorn

    from tracking_server.app import build_app
    from tracking_server.http_protocol import limited_protocol

    settings = config.server

    class _Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            os.write(sys.stdout.fileno(), READY)

    options = uvicorn.Config(
        build_app(config),
        loop="uvloop",
        http=limited_protocol(config.limits),
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=round(settings.keep_alive),
        timeout_graceful_shutdown=round(settings.shutdown_grace),
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )
    _Server(options).run([listener])


def _outlive_not(pipe: int) -> None:
    """Waits for the supervisor's end, on a thread so that a busy event loop does not matter; then ends the process."""
    os.read(pipe, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_ORPHAN_GRACE)
    os._exit(1)


def _ignore(number: int, frame: FrameType | None) -> None:
    pass


if __name__ == "__main__":
    # The pickle names this module as tracking_server.worker, which is not what runs here.
    from tracking_server.worker import main as _main

    _main()
