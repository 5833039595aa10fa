"""The application on a listening socket: uvicorn with uvloop, our protocol and our limits."""

from __future__ import annotations

import gc
import logging
import socket
from collections.abc import Callable

import uvicorn

from tracking_server import logs
from tracking_server.app import build_app
from tracking_server.config import Config
from tracking_server.http_protocol import limited_protocol


def serve(config: Config, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serves until SIGTERM; then stops accepting, and lets what was accepted finish within ``shutdown_grace``.

    ``on_ready`` is called when requests are answered.
    """
    logs.setup(config.logging)
    # Its own lines are about connections and signals, which clients cause and the supervisor tells.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    settings = config.server
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
    _Server(options, on_ready).run([listener])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What is there now stays; looking at it again and again made the slowest answers (bench: log-metric, p99).
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        self._on_ready()
