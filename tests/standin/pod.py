"""A unit's pod: namespaces of its own, one file system for its charm and one for each container, and real Pebble.

As in Juju's pods all containers share the network and the address, and nothing else: the charm reaches its workload
only through Pebble's socket and the address.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from ops import pebble
from tests.standin.charm_files import CharmFiles
from tests.standin.network import Network
from tests.standin.pod_init import Root, User
from tests.standin.tool_server import write_tools
from tests.standin.warm_python import WarmPython

JUJU_GROUP = 170
"""Juju's user for charms that are not root, and the group that the storage of a pod belongs to."""

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_USERS = {"root": User(name="root", uid=0, gid=0), "non-root": User(name="juju", uid=JUJU_GROUP, gid=JUJU_GROUP)}


@dataclass(frozen=True)
class Image:
    """What stands in for the containers' images: this machine's programs and Python environment.

    ``shown`` are folders that containers see besides; ``folders`` are made for a container's user; ``variables``
    are in the environment of its Pebble, and so of its services. ``charm_files`` are what charms find at a path
    (such as a kubeconfig), ``charm_variables`` what they find in their environment. Where ``preload`` names
    libraries, hooks are forks of a Python that has imported them (``warm.py``), to save time.
    """

    pebble: Path
    shown: tuple[Path, ...] = ()
    folders: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    charm_files: Mapping[str, Path] = field(default_factory=dict)
    charm_variables: Mapping[str, str] = field(default_factory=dict)
    preload: tuple[str, ...] = ()


class Pod:
    """The pod of one unit, below ``folder``. Storage survives ``kill`` and ``start``; all else is made anew."""

    def __init__(self, folder: Path, unit: str, charm: CharmFiles, image: Image, network: Network) -> None:
        self.folder = folder
        self._unit = unit
        self._charm = charm
        self._image = image
        self._network = network
        self._holder: subprocess.Popen[str] | None = None
        self._init = 0
        self._pebbles: dict[str, subprocess.Popen[bytes]] = {}
        self._warm: WarmPython | None = None
        self.starts: Counter[str] = Counter()
        """How often each container's Pebble was started."""
        self.address = ""
        self.charm_user = _USERS["non-root" if charm.user == "non-root" else "root"]
        agent = f"/var/lib/juju/agents/unit-{unit.replace('/', '-')}"
        self.charm_folder, self.tools_folder = f"{agent}/charm", f"{agent}/tools"
        self.hosts = folder / "hosts"
        for name in ("agent", "containers", "storage", "roots"):
            (folder / name).mkdir(parents=True)
        os.chown(folder / "agent", self.charm_user["uid"], self.charm_user["gid"])
        write_tools(folder / "tools")
        self.hosts.write_text("127.0.0.1 localhost\n::1 localhost\n")
        for name in charm.storage:
            storage = folder / "storage" / name
            storage.mkdir()
            os.chown(storage, 0, JUJU_GROUP)
            storage.chmod(0o2775)

    @property
    def is_running(self) -> bool:
        return self._holder is not None

    def start(self, charm: CharmFiles | None = None) -> None:
        """Makes the namespaces and starts each container's Pebble; ``charm`` are other files, for a refresh."""
        self._charm = charm or self._charm
        self._write_charm()
        roots = [self._charm_root(), *(self._container_root(name) for name in self._charm.containers)]
        for root in roots:
            Path(root["path"]).mkdir(exist_ok=True)
        # Should we be killed, all of the pod ends with us: the kernel kills unshare, its child, and then the namespace.
        command = ["setpriv", "--pdeathsig", "KILL", "--", "unshare", "--mount", "--net", "--pid", "--fork"]
        program = Path(__file__).with_name("pod_init.py")
        self._holder = subprocess.Popen(
            [*command, "--kill-child", "--", sys.executable, "-IS", str(program), json.dumps(roots)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            env={"PATH": _PATH},
            start_new_session=True,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != "ready\n":
            self.kill()
            raise RuntimeError(f"the namespaces of {self._unit} could not be made")
        self._init = psutil.Process(self._holder.pid).children()[0].pid
        self.address = self._network.connect(self._init)
        for name in self._charm.containers:
            self.start_pebble(name)

    def start_pebble(self, container: str) -> None:
        """Starts a container's Pebble as Juju does, and returns when it answers."""
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{_PATH}",
            "HOME": f"/var/lib/{self.container_user(container)['name']}",
            "PEBBLE": "/var/lib/pebble/default",
            "PEBBLE_SOCKET": "/charm/container/pebble.socket",
            "JUJU_CONTAINER_NAME": container,
            **self._image.variables,
        }
        run = ("/charm/bin/pebble", "run", "--create-dirs", "--hold", "--verbose")
        with (self.folder / f"pebble-{container}.log").open("ab") as log:
            self._pebbles[container] = subprocess.Popen(
                self._entering(container, [*run, "--identities", "/charm/bin/identities"], "/"),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.starts[container] += 1
        deadline = time.monotonic() + 30
        while not self.is_answering(container):
            if time.monotonic() > deadline or self._pebbles[container].poll() is not None:
                raise RuntimeError(f"Pebble of {self._unit} does not answer:\n{self.log(container)[-2000:]}")
            time.sleep(0.02)

    def restart_container(self, container: str) -> None:
        """Kills a container and starts it anew, empty but for its storage."""
        for process in self.processes():
            # Its parent's end may have ended it.
            with suppress(psutil.NoSuchProcess):
                if process.uids().real == self.container_user(container)["uid"]:
                    process.kill()
        self._pebbles[container].wait(30)
        enter = ("nsenter", "--target", str(self._init), "--mount", "--")
        for folder in self._own_folders():
            emptied = f"{self.folder}/roots/{container}{folder}"
            subprocess.run([*enter, "find", emptied, "-mindepth", "1", "-delete"], check=True)
        self.start_pebble(container)

    def pebble(self, container: str) -> pebble.Client:
        """A client of a container's Pebble, with all rights."""
        return pebble.Client(str(self.folder / "containers" / container / "pebble.socket"), timeout=10)

    def is_answering(self, container: str) -> bool:
        try:
            self.pebble(container).get_system_info()
        except (pebble.ConnectionError, pebble.APIError):
            return False
        return True

    def log(self, container: str) -> str:
        """All that a container's Pebble and its services have printed."""
        path = self.folder / f"pebble-{container}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def run_charm(
        self, environment: Mapping[str, str], timeout: float, command: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Runs the charm (or another command) where the charm runs, as Juju's dispatch does."""
        variables = {
            "PATH": f"{self.tools_folder}:{Path(sys.executable).parent}:{_PATH}",
            "PYTHONPATH": f"{self.charm_folder}/lib:{self.charm_folder}/src",
            "HOME": f"/var/lib/{self.charm_user['name']}",
            "LANG": "C.UTF-8",
            "JUJU_CHARM_DIR": self.charm_folder,
            **self._image.charm_variables,
            **environment,
        }
        program = f"{self.charm_folder}/src/charm.py"
        if self._image.preload and not command:
            return self._warm_python().run(program, self.charm_folder, variables, timeout)
        inside = command or [sys.executable, program]
        return self._run(self._entering(None, inside, self.charm_folder), variables, timeout)

    def run_in(self, container: str, command: Sequence[str], timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Runs a command in a container, as its user."""
        variables = {"PATH": f"{Path(sys.executable).parent}:{_PATH}", "HOME": "/nonexistent"}
        return self._run(self._entering(container, command, "/"), variables, timeout)

    def processes(self) -> list[psutil.Process]:
        """All processes of the pod besides its first."""
        with suppress(psutil.NoSuchProcess):
            own = psutil.Process(os.getpid()).children(recursive=True)
            namespace = _namespace(self._init)
            return [process for process in own if process.pid != self._init and _namespace(process.pid) == namespace]
        return []

    def container_user(self, container: str) -> User:
        described = self._charm.containers[container]
        return User(name="_daemon_", uid=described.uid, gid=described.gid) if described.uid else _USERS["root"]

    def stop(self) -> None:
        """Ends the pod in peace: Pebble stops its services first."""
        for program in self._pebbles.values():
            # The program that we started only waits for the one in the namespace.
            with suppress(psutil.NoSuchProcess):
                for child in psutil.Process(program.pid).children():
                    child.terminate()
        for program in self._pebbles.values():
            with suppress(subprocess.TimeoutExpired):
                program.wait(40)
        self.kill()

    def kill(self) -> None:
        """Ends all processes of the pod at once, as a node's loss does."""
        if self._holder is None:
            return
        if self._warm is not None:
            self._warm.close()
            self._warm = None
        self._holder.kill()
        self._holder.wait()
        if self._holder.stdout is not None:
            self._holder.stdout.close()
        for program in self._pebbles.values():
            program.wait(30)
        self._pebbles.clear()
        self._holder = None
        for folder in (self.folder / "containers").iterdir():
            (folder / "pebble.socket").unlink(missing_ok=True)

    def _warm_python(self) -> WarmPython:
        if self._warm is None:
            python = (sys.executable, "-P", WarmPython.program, f"/charm/agent/{WarmPython.socket_name}")
            command = self._entering(None, [*python, *self._image.preload], "/")
            self._warm = WarmPython(command, self.folder / "agent", {"PATH": _PATH, "LANG": "C.UTF-8"})
        return self._warm

    def _write_charm(self) -> None:
        target = self.folder / "charm"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self._charm.folder, target)
        for path in (target, *target.rglob("*")):
            os.chown(path, self.charm_user["uid"], self.charm_user["gid"])

    def _charm_root(self) -> Root:
        binds = {
            self.charm_folder: self.folder / "charm",
            self.tools_folder: self.folder / "tools",
            "/charm/agent": self.folder / "agent",
            "/charm/containers": self.folder / "containers",
            WarmPython.program: Path(__file__).with_name("warm.py"),
            **{f"/var/lib/juju/storage/{name}/0": self.folder / "storage" / name for name in self._charm.storage},
            **self._image.charm_files,
            **_python(),
        }
        return self._root("charm", self.charm_user, binds, [])

    def _container_root(self, name: str) -> Root:
        user = self.container_user(name)
        socket_folder = self.folder / "containers" / name
        socket_folder.mkdir(exist_ok=True)
        os.chown(socket_folder, user["uid"], user["gid"])
        identities = self.folder / "identities"
        juju = f"{{access: admin, local: {{user-id: {self.charm_user['uid']}}}}}"
        identities.write_text(f"identities:\n  juju: {juju}\n")
        mounts = self._charm.containers[name].mounts
        binds = {
            "/charm/container": socket_folder,
            "/charm/bin/pebble": self._image.pebble,
            "/charm/bin/identities": identities,
            **{place: self.folder / "storage" / storage for storage, place in mounts.items()},
            **_python(),
            **{str(path): path for path in self._image.shown},
        }
        return self._root(name, user, binds, self._own_folders())

    def _own_folders(self) -> list[str]:
        return ["/var/lib/pebble/default", *self._image.folders]

    def _root(self, name: str, user: User, binds: Mapping[str, Path], own: Sequence[str]) -> Root:
        return Root(
            path=str(self.folder / "roots" / name),
            user=user,
            binds={place: str(source) for place, source in sorted(binds.items())},
            own=list(own),
            hosts=str(self.hosts),
        )

    def _entering(self, container: str | None, command: Sequence[str], folder: str) -> list[str]:
        """The command line that runs ``command`` in a container (None: the charm's), as its user."""
        user = self.charm_user if container is None else self.container_user(container)
        return [
            *("nsenter", "--target", str(self._init), "--mount", "--net", "--pid", "--"),
            *("chroot", f"--userspec={user['uid']}:{user['gid']}", f"--groups={JUJU_GROUP}"),
            str(self.folder / "roots" / (container or "charm")),
            *("env", f"--chdir={folder}", *command),
        ]

    def _run(
        self, command: Sequence[str], environment: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        with subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                output, errors = process.communicate(timeout=timeout)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        return subprocess.CompletedProcess(command, process.returncode, output, errors)


def _python() -> dict[str, Path]:
    """This Python and its packages, where they are not a part of the system."""
    prefixes = {Path(prefix) for prefix in (sys.prefix, sys.base_prefix)}
    return {str(prefix): prefix.resolve() for prefix in prefixes if not prefix.is_relative_to("/usr")}


def _namespace(pid: int) -> str:
    with suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/pid")  # noqa: PTH115 - the link leads to no file
    return ""
