"""A bridge on this machine that the units of a model hang on, each with an address of its own."""

from __future__ import annotations

import ipaddress
import itertools
import os
import random
import re
import shutil
import subprocess
from contextlib import suppress
from types import TracebackType
from typing import Self

import psutil

_NAME = re.compile(r"\d+: (standin(\d+)x\d+): ")


class Network:
    """A bridge with a free network of its own below 10.0.0.0/8; a context manager that removes it."""

    _count = itertools.count()

    def __init__(self) -> None:
        self.bridge = f"standin{os.getpid()}x{next(self._count)}"
        self._subnet = _free_subnet()
        self._addresses = self._subnet.hosts()
        self.address = str(next(self._addresses))
        """This machine's, as the units see it."""
        self._links = itertools.count()

    def __enter__(self) -> Self:
        remove_abandoned()
        _ip("link", "add", self.bridge, "type", "bridge")
        try:
            _ip("address", "add", f"{self.address}/{self._subnet.prefixlen}", "dev", self.bridge)
            _ip("link", "set", self.bridge, "up")
        except BaseException:
            _ip("link", "delete", self.bridge)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _ip("link", "delete", self.bridge)

    def connect(self, pid: int) -> str:
        """Gives the network namespace of a process an address, and returns it. The link ends with the namespace."""
        address = str(next(self._addresses))
        link = f"si{os.getpid()}x{next(self._links)}"
        _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
        _ip("link", "set", link, "master", self.bridge, "up")
        inside = [
            "link set lo up",
            f"address add {address}/{self._subnet.prefixlen} dev eth0",
            "link set eth0 up",
            f"route add default via {self.address}",
        ]
        enter = ["nsenter", "--target", str(pid), "--net", "ip", "-batch", "-"]
        subprocess.run(enter, input="\n".join(inside), text=True, check=True, capture_output=True)
        return address


def remove_abandoned() -> None:
    """Removes bridges whose process was killed before it could."""
    for line in _ip("-oneline", "link", "show", "type", "bridge").splitlines():
        found = _NAME.match(line)
        if found and not psutil.pid_exists(int(found[2])):
            # Another process may have been quicker.
            with suppress(RuntimeError):
                _ip("link", "delete", found[1])


def _free_subnet() -> ipaddress.IPv4Network:
    routes = _ip("-oneline", "-4", "address", "show")
    while True:
        second, third = (random.SystemRandom().randrange(1, 255) for _ in range(2))
        if f" 10.{second}.{third}." not in routes:
            return ipaddress.IPv4Network(f"10.{second}.{third}.0/24")


def _ip(*arguments: str) -> str:
    done = subprocess.run([shutil.which("ip") or "/sbin/ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
