"""What the processes of a server use: processor time and memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

from support.processes import ServerProcess

_MEBIBYTE = 2**20
_T = TypeVar("_T")


def cpu_seconds(server: ServerProcess) -> float:
    """Processor time of all its processes since its start, those that have ended and were waited for included."""
    # A process's own time goes over to its parent when that waits for it: the sum counts it once at any moment.
    return sum(sum(times[:4]) for times in _each(server, lambda process: process.cpu_times()) if times is not None)


def memory_mib(server: ServerProcess) -> float:
    """The proportional set size of all its processes: pages that n processes share count as 1/n in each."""
    return sum(process.mib for process in memory_of_processes(server))


@dataclass(frozen=True, slots=True)
class ProcessMemory:
    """One process: what it runs, shortened, and its proportional set size."""

    command: str
    mib: float


def memory_of_processes(server: ServerProcess) -> list[ProcessMemory]:
    """The processes of a server, eldest first."""
    return [
        ProcessMemory(command, pss / _MEBIBYTE)
        for command, pss in _each(server, lambda process: (_short(process.cmdline()), process.memory_full_info().pss))
    ]


def _short(command: list[str]) -> str:
    words = [Path(word).name if "/" in word else word for word in command]
    return " ".join(words)[:60]


def _each(server: ServerProcess, ask: Callable[[psutil.Process], _T]) -> list[_T]:
    """``ask`` of each process; of all again when one ended meanwhile, so that no time is counted in no process."""
    for _ in range(20):
        with suppress(psutil.NoSuchProcess):
            return [ask(psutil.Process(pid)) for pid in server.pids()]
    raise RuntimeError(f"the processes of {server.name} come and go too quickly to be measured")


def is_idle(server: ServerProcess) -> bool:
    """Whether the server takes less than a twentieth of a core, seen for 0.4 s."""
    before = cpu_seconds(server)
    time.sleep(0.4)
    return cpu_seconds(server) - before <= 0.02


def wait_until_idle(server: ServerProcess, seconds: float = 90.0) -> None:
    """Returns when the server is idle, such as when it has started, or after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not is_idle(server) and time.monotonic() < deadline:
        pass


class Peak:
    """The greatest memory of a server while ``watch`` is entered, above that at its start; in MiB."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self.before = 0.0
        self.highest = 0.0

    @property
    def growth(self) -> float:
        return self.highest - self.before

    @contextmanager
    def watch(self) -> Iterator[None]:
        self.before = self.highest = memory_mib(self._server)
        ended = threading.Event()
        thread = threading.Thread(target=self._watch, args=(ended,))
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _watch(self, ended: threading.Event) -> None:
        while not ended.wait(0.1):
            self.highest = max(self.highest, memory_mib(self._server))
