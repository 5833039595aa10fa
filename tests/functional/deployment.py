"""The deployment under test, by Juju's own command line: what stands here is what an operator types."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

from pytest_operator.plugin import OpsTest

ROOT = Path(__file__).parents[2]
CHARM = ROOT / "mlflow-tracking-k8s.charm"
APP = "mlflow-tracking"
IMAGE = os.environ.get("TRACKING_SERVER_IMAGE", "localhost:32000/mlflow-tracking-server:0.1.0")
KUBECTL = tuple(os.environ.get("KUBECTL", "kubectl").split())
"""Such as `microk8s kubectl`, where kubectl itself is not set up for the cluster."""
ACCESS_KEY, SECRET_KEY = "functional", "functional-secret"
MINUTE = 60.0


async def juju(ops_test: OpsTest, *arguments: str) -> str:
    """Runs juju in the test's model and returns what it prints. Raises AssertionError with its message."""
    code, output, errors = await ops_test.juju(*arguments)
    assert code == 0, f"juju {' '.join(arguments)}: {errors or output}"
    return str(output)


async def settle(ops_test: OpsTest, *apps: str, status: str = "active", minutes: float = 20) -> None:
    """Waits until the applications have one status and do nothing."""
    assert ops_test.model is not None
    await ops_test.model.wait_for_idle(
        apps=list(apps), status=status, timeout=minutes * MINUTE, idle_period=20, raise_on_error=False
    )


async def run(ops_test: OpsTest, action: str, *parameters: str, unit: str = f"{APP}/leader") -> dict[str, Any]:
    """Runs an action and returns its results."""
    output = await juju(ops_test, "run", unit, action, *parameters, "--wait=10m", "--format=json")
    (task,) = json.loads(output).values()
    results = task["results"]
    assert isinstance(results, dict)
    return results


async def application(ops_test: OpsTest, name: str = APP) -> dict[str, Any]:
    """Returns what `juju status` says of an application."""
    status = json.loads(await juju(ops_test, "status", "--format=json"))
    found = status["applications"][name]
    assert isinstance(found, dict)
    return found


_CLIENT = """
import json, urllib.request
def call(path, body):
    request = urllib.request.Request(URI + "/api/2.0/mlflow/" + path, json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)
"""


async def call(ops_test: OpsTest, uri: str, code: str) -> str:
    """Runs Python with `call(path, body)` for MLflow's API, in the pod of the first unit; returns what it prints.

    From inside, because the service's name means nothing outside of the cluster.
    """
    script = f"URI = {uri!r}\n{_CLIENT}\n{code}"
    encoded = base64.b64encode(script.encode()).decode()  # nothing for a shell to quote
    return (await juju(ops_test, "exec", "--unit", f"{APP}/0", f"echo {encoded} | base64 -d | python3 -")).strip()
