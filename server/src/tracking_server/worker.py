"""A serving process: ``python -m tracking_server.worker``, started by the supervisor and by nobody else.

Standard input brings one pickled ``Handover`` and then stays open: its end means that the supervisor is gone. The
line "ready" on standard output says that requests are accepted.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass

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
    # Before the handover, which waits for the database: this takes longest.
    from tracking_server import serving

    handover: Handover = pickle.load(sys.stdin.buffer)  # noqa: S301  our own parent wrote it, on a pipe only we share
    threading.Thread(target=_outlive_not, args=(sys.stdin.fileno(),), daemon=True).start()
    serving.serve(handover.config, socket.socket(fileno=handover.listener), _tell_ready)


def _tell_ready() -> None:
    os.write(sys.stdout.fileno(), READY)


def _outlive_not(pipe: int) -> None:
    """Waits for the supervisor's end, on a thread so that a busy event loop does not matter; then ends the process."""
    os.read(pipe, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_ORPHAN_GRACE)
    os._exit(1)


if __name__ == "__main__":
    # The pickle names this module as tracking_server.worker, which is not what runs here.
    from tracking_server.worker import main as _main

    _main()
