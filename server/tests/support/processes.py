"""Servers as child processes: start and wait until ready, stop, kill, read the log."""

from __future__ import annotations

import atexit
import http.client
import os
import pwd
import random
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

LOCALHOST = "127.0.0.1"

RUNNING: list[ServerProcess] = []
"""The servers that run now, in the order of their starts."""


class ServerProcess(ABC):
    """A server in a child process, with its files in ``folder`` and its output in ``log_path``.

    The port is chosen once, so a client finds the server again after a restart. Use as a context manager, or call
    ``start`` and ``stop``.
    """

    name: str
    start_timeout = 240.0
    stop_signal = signal.SIGTERM
    user: str | None = None

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.log_path = folder / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """The program and its arguments."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether the server answers; asked repeatedly after a start."""

    def environment(self) -> Mapping[str, str]:
        """The child's environment variables, all of them."""
        return plain_environment()

    @property
    def url(self) -> str:
        return f"http://{LOCALHOST}:{self.port}"

    @property
    def pid(self) -> int:
        """The id of the process we started. Raises RuntimeError when there is none."""
        if self._process is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._process.pid

    def pids(self) -> list[int]:
        """The ids of the process we started and of all that descend from it, eldest first."""
        return [self.pid, *(child.pid for child in psutil.Process(self.pid).children(recursive=True))]

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def logs(self) -> str:
        """All that the server has printed since its first start."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def start(self) -> Self:
        """Starts the server and returns when it is ready; RuntimeError with the end of its log when it is not."""
        self.launch()
        try:
            self.wait_until_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def launch(self) -> None:
        """Starts the server without waiting for it."""
        if self.is_running:
            raise RuntimeError(f"{self.name} is already running")
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [str(part) for part in self.command()],
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **identity(self.user),
            )
        RUNNING.append(self)

    def wait_until_ready(self) -> None:
        """Returns when ``is_ready``; RuntimeError with the end of the log when it ends before, or takes too long."""
        deadline = time.monotonic() + self.start_timeout
        while not self.is_ready():
            if not self.is_running:
                raise RuntimeError(f"{self.name} ended before it was ready:\n{self.logs()[-4000:]}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} was not ready in {self.start_timeout:g} s:\n{self.logs()[-4000:]}")
            time.sleep(0.05)

    def stop(self, timeout: float = 40.0) -> int | None:
        """Asks the server to end and returns its exit status; kills it when it takes longer than ``timeout`` seconds.

        Returns None when it was not running.
        """
        if self._process is None:
            return None
        process = self._process
        process.send_signal(self.stop_signal)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout)
        self.kill()
        return process.returncode

    def kill(self) -> None:
        """Ends the server and all its descendants at once, as a power cut would."""
        if self._process is None:
            return
        kill_tree(self._process.pid)
        self._process.wait()
        self._process = None
        RUNNING.remove(self)

    def restart(self) -> None:
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def kill_tree(pid: int) -> None:
    """SIGKILL to a process, then to its descendants and to what is left of its session."""
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(family[1:], timeout=10)
    # Orphans of a parent that has already ended keep its process group.
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def identity(user: str | None) -> dict[str, Any]:
    """The arguments with which subprocess runs a program as ``user``, or as ourselves for None."""
    return {} if user is None else {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": ()}


def free_port() -> int:
    """A free port below the ports that the kernel hands to outgoing connections, which could take it again."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as candidate, suppress(OSError):
            candidate.bind((LOCALHOST, port))
            return port


def http_status(port: int, path: str, address: str = LOCALHOST) -> int | None:
    """The status of a GET on this machine, or None when nothing answers."""
    connection = http.client.HTTPConnection(address, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def plain_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our environment without the variables that configure what we test, then ``extra``."""
    configuring = ("MLFLOW_", "_MLFLOW_", "AWS_", "PG", "TRACKING_SERVER_", "ROOT_", "VGW_", "RCLONE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(configuring)}
    return kept | dict(extra or {})


@atexit.register
def _kill_leftovers() -> None:
    for server in list(RUNNING):
        server.kill()
