"""The stand-in itself: a small charm on real Pebble, dispatched in a process of its own each time, as Juju does."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.standin.agent import HookFailed
from tests.standin.charm_files import CharmFiles
from tests.standin.juju import Juju
from tests.standin.network import Network, remove_abandoned
from tests.standin.pod import Image

from support.requirements import REPOSITORY, requires

UNIT = "tiny/0"
TINY = REPOSITORY / "tests/integration/tiny_charm"

_KILLED = """
import os, signal, sys
from pathlib import Path
from tests.standin.charm_files import CharmFiles
from tests.standin.juju import Juju
from tests.standin.network import Network
from tests.standin.pod import Image

with Network() as network, Juju(Image(Path(sys.argv[1])), network) as juju:
    juju.deploy(CharmFiles.read(Path(sys.argv[2])).pack(juju.folder / "charm"), "tiny")
    print(network.bridge, juju.folder, *(process.pid for process in juju.agents["tiny/0"].pod.processes()))
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def juju(network: Network) -> Iterator[Juju]:
    image = Image(requires("pebble"), folders=("/etc/tiny",))
    with Juju(image, network) as model:
        model.deploy(CharmFiles.read(TINY).pack(model.folder / "charm"), "tiny")
        model.settle()
        yield model


def test_events_come_in_their_order(juju: Juju) -> None:
    assert [event.event for event in juju.dispatched] == [
        "data-storage-attached",
        "install",
        "peers-relation-created",
        "leader-elected",
        "config-changed",
        "start",
        "workload-pebble-ready",
    ]
    assert str(juju.status(UNIT)) == "active: charm runs as 170"


def test_charm_and_workload_share_the_network_only(juju: Juju) -> None:
    pod = juju.agents[UNIT].pod
    stat = ["stat", "--format=%a %u", "/etc/tiny/file"]
    assert pod.run_in("workload", stat).stdout == "600 584792\n"
    assert pod.run_charm({}, 30, stat).returncode != 0
    address = ["hostname", "--all-ip-addresses"]
    assert pod.run_in("workload", address).stdout.split() == [juju.model.unit(UNIT).address]
    assert pod.run_charm({}, 30, address).stdout.split() == [juju.model.unit(UNIT).address]
    own = pod.run_in("workload", ["ls", "/proc"]).stdout.split()
    assert len([name for name in own if name.isdecimal()]) < 10


def test_a_failed_hook_leaves_nothing_and_is_tried_again(juju: Juju) -> None:
    (peers,) = juju.model.relations_of("tiny")
    juju.config("tiny", fail=True)
    with pytest.raises(HookFailed, match="told to fail"):
        juju.settle()
    assert juju.status(UNIT).name == "error"
    assert peers.data[UNIT]["fail"] == "False"

    juju.model.app("tiny").settings.clear()
    juju.settle()
    assert juju.status(UNIT).name == "active"


def test_notices_are_told(juju: Juju) -> None:
    pod = juju.agents[UNIT].pod
    environment = ["env", "PEBBLE_SOCKET=/charm/container/pebble.socket"]
    pod.run_in("workload", [*environment, "/charm/bin/pebble", "notify", "example.com/done"])
    juju.settle()
    (peers,) = juju.model.relations_of("tiny")
    assert peers.data[UNIT]["notice"] == "example.com/done"


def test_storage_outlives_the_pod_and_nothing_else_does(juju: Juju) -> None:
    pod, address = juju.agents[UNIT].pod, juju.model.unit(UNIT).address
    before = len(juju.dispatched)
    juju.kill_pod(UNIT)
    assert not pod.processes()
    juju.start_pod(UNIT)
    assert pod.run_in("workload", ["ls", "/data", "/etc/tiny"]).stdout.split() == ["/data:", "kept", "/etc/tiny:"]
    juju.settle()
    assert [event.event for event in juju.dispatched[before:]] == [
        "upgrade-charm",
        "config-changed",
        "start",
        "workload-pebble-ready",
    ]
    assert juju.model.unit(UNIT).address != address


def test_nothing_runs_on_when_the_tests_are_killed(network: Network) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, requires("pebble"), TINY],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    bridge, folder, *pids = done.stdout.split()
    assert pids, done.stderr
    deadline = time.monotonic() + 20
    while left := [pid for pid in pids if Path("/proc", pid).exists()]:
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.05)
    # The next test run takes what only the kernel could have taken with them.
    remove_abandoned()
    assert not Path("/sys/class/net", bridge).exists()
    shutil.rmtree(folder)
