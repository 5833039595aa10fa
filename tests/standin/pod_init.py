"""The first process of a unit's namespaces: builds the file systems that its charm and its containers see.

Started by ``pod.py`` as root in new mount, network and process namespaces, with a description as JSON. It says "ready"
when all is mounted, then waits for the end and reaps orphans. With it ends every process of the unit.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

_SYSTEM = ("bin", "lib", "lib32", "lib64", "libx32", "sbin", "usr", "sys", "dev")


class User(TypedDict):
    name: str
    uid: int
    gid: int


class Root(TypedDict):
    """A file system: ``binds`` are shown in it at the same or another path, ``own`` are folders of ``user``."""

    path: str
    user: User
    binds: dict[str, str]
    own: list[str]
    hosts: str


def main() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    roots: list[Root] = json.loads(sys.argv[1])
    for root in roots:
        build(root)
    print("ready", flush=True)
    while True:
        signal.sigwait({signal.SIGCHLD})
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def build(root: Root) -> None:
    """Mounts a small root: this machine's programs, a copy of /etc, what is bound, and nothing else."""
    top = Path(root["path"])
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", top)
    for name in _SYSTEM:
        source = Path("/", name)
        if source.is_symlink():
            (top / name).symlink_to(source.readlink())
        elif source.is_dir():
            (top / name).mkdir()
            mount("--rbind", source, top / name)
    (top / "proc").mkdir()
    mount("-t", "proc", "proc", top / "proc")
    run("cp", "-a", "/etc", top / "etc")
    for name in ("tmp", "var/tmp"):
        (top / name).mkdir(parents=True)
        (top / name).chmod(0o1777)
    user = root["user"]
    with (top / "etc/passwd").open("a") as file:
        file.write(f"{user['name']}:x:{user['uid']}:{user['gid']}::/var/lib/{user['name']}:/usr/sbin/nologin\n")
    with (top / "etc/group").open("a") as file:
        file.write(f"{user['name']}:x:{user['gid']}:\n")
    for name in root["own"]:
        folder = top / name.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, user["uid"], user["gid"])
    for place, shown in root["binds"].items():
        bind(Path(shown), top / place.lstrip("/"))
    bind(Path(root["hosts"]), top / "etc/hosts")


def bind(source: Path, place: Path) -> None:
    """Shows ``source`` at ``place``, even where folders above it are closed to others.

    A folder that is itself closed to others is made anew, open, with the same things in it.
    """
    if source.is_symlink():
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.is_symlink():
            place.symlink_to(source.readlink())
    elif source.is_dir():
        place.mkdir(parents=True, exist_ok=True)
        if source.stat().st_mode & 0o005 == 0o005:
            mount("--rbind", source, place)
        else:
            for child in source.iterdir():
                bind(child, place / child.name)
    elif source.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
        mount("--bind", source, place)


def mount(*arguments: str | Path) -> None:
    run("mount", *arguments)


def run(program: str, *arguments: str | Path) -> None:
    subprocess.run([shutil.which(program) or program, *map(str, arguments)], check=True)


if __name__ == "__main__":
    main()
