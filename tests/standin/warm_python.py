"""The near end of ``warm.py``: asks it to run hooks."""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil


class WarmPython:
    """A Python that waits in a pod for hooks to run; ``command`` starts it, its socket is in ``folder``."""

    program = "/charm/bin/warm.py"
    socket_name = "warm.socket"

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._path = folder / self.socket_name
        self._process = subprocess.Popen(
            command, env=dict(environment), stdin=subprocess.DEVNULL, start_new_session=True
        )

    def run(
        self, program: str, folder: str, environment: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Runs a Python program and returns when it has ended. Raises subprocess.TimeoutExpired."""
        request = {"program": program, "folder": folder, "environment": dict(environment)}
        with self._connect() as connection, tempfile.TemporaryFile("w+") as output:
            socket.send_fds(connection, [json.dumps(request).encode()], [output.fileno()])
            connection.settimeout(timeout)
            try:
                answer = connection.recv(64)
            except TimeoutError:
                self.close()
                raise subprocess.TimeoutExpired(program, timeout) from None
            output.seek(0)
            return subprocess.CompletedProcess([program], int(answer or b"-9"), output.read(), "")

    def close(self) -> None:
        """Ends it, and the hook that it runs."""
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self._process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        self._process.kill()
        self._process.wait()
        self._path.unlink(missing_ok=True)

    def _connect(self) -> socket.socket:
        deadline = time.monotonic() + 60
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(self._path))
            except OSError:
                connection.close()
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.02)
            else:
                return connection
