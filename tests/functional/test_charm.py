"""The charm on a real controller: deploy alone, integrate, scale, run actions, refresh, remove.

The tests of this file go through one deployment, in their order. `make functional` says what it needs; without a
controller nothing here can run.
"""

from __future__ import annotations

import json

import pytest
from pytest_operator.plugin import OpsTest
from tests.functional.deployment import (
    ACCESS_KEY,
    APP,
    CHARM,
    IMAGE,
    KUBECTL,
    MINUTE,
    SECRET_KEY,
    application,
    call,
    juju,
    run,
    settle,
)

pytestmark = pytest.mark.abort_on_fail

LOG_A_RUN = """
experiment = call("experiments/create", {"name": "functional"})["experiment_id"]
run = call("runs/create", {"experiment_id": experiment})["run"]["info"]["run_id"]
call("runs/log-metric", {"run_id": run, "key": "loss", "value": 0.5, "timestamp": 1})
print(run)
"""
COUNT_RUNS = """
found = call("experiments/search", {"max_results": 100, "filter": "name = \\"functional\\""})["experiments"]
ids = [one["experiment_id"] for one in found]
print(len(call("runs/search", {"experiment_ids": ids}).get("runs", [])))
"""


async def tracking_uri(ops_test: OpsTest) -> str:
    return str((await run(ops_test, "get-tracking-uri"))["tracking-uri"])


async def test_alone_it_serves_from_its_storage(ops_test: OpsTest) -> None:
    await juju(ops_test, "deploy", str(CHARM), APP, "--resource", f"tracking-server-image={IMAGE}", "--trust")
    await settle(ops_test, APP)

    status = await application(ops_test)
    assert status["application-status"]["message"].startswith("embedded mode")
    assert status["version"]
    uri = await tracking_uri(ops_test)
    assert uri == f"http://{APP}.{ops_test.model_name}.svc.cluster.local:5000"
    assert len(await call(ops_test, uri, LOG_A_RUN)) == 32


async def test_integrating_keeps_the_embedded_data_until_it_is_copied(ops_test: OpsTest) -> None:
    await juju(ops_test, "deploy", "postgresql-k8s", "postgresql", "--channel", "16/stable", "--trust")
    root = ("--config", f"access-key={ACCESS_KEY}", "--config", f"secret-key={SECRET_KEY}")
    await juju(ops_test, "deploy", "minio", "--channel", "ckf-1.10/stable", "--trust", *root)
    await juju(ops_test, "deploy", "s3-integrator", "--channel", "2/stable")
    await settle(ops_test, "postgresql", "minio")

    secret = await juju(
        ops_test, "add-secret", "s3-credentials", f"access-key={ACCESS_KEY}", f"secret-key={SECRET_KEY}"
    )
    await juju(ops_test, "grant-secret", "s3-credentials", "s3-integrator")
    endpoint = f"http://minio.{ops_test.model_name}.svc.cluster.local:9000"
    options = (f"endpoint={endpoint}", "bucket=mlflow", "path=artifacts", "s3-uri-style=path", "region=us-east-1")
    await juju(ops_test, "config", "s3-integrator", *options, f"credentials={secret.strip()}")
    await juju(ops_test, "integrate", f"{APP}:database", "postgresql:database")
    await juju(ops_test, "integrate", f"{APP}:object-storage", "s3-integrator:s3-credentials")
    await settle(ops_test, APP, "postgresql", "s3-integrator")

    assert "copy-embedded-data" in (await application(ops_test))["application-status"]["message"]
    uri = await tracking_uri(ops_test)
    assert await call(ops_test, uri, COUNT_RUNS) == "1"

    assert int((await run(ops_test, "copy-embedded-data"))["rows"]) > 0
    await settle(ops_test, APP)
    assert (await application(ops_test))["application-status"].get("message", "") == ""
    assert await call(ops_test, uri, COUNT_RUNS) == "1"


async def test_every_unit_serves_and_one_may_be_lost(ops_test: OpsTest) -> None:
    await juju(ops_test, "scale-application", APP, "3")
    assert ops_test.model is not None
    await ops_test.model.wait_for_idle(
        apps=[APP], status="active", wait_for_exact_units=3, timeout=20 * MINUTE, idle_period=20
    )
    for number in range(3):
        address = f"http://{APP}-{number}.{APP}-endpoints.{ops_test.model_name}.svc.cluster.local:5000"
        assert await call(ops_test, address, COUNT_RUNS) == "1"

    # Kubernetes puts back what is lost; meanwhile the others serve.
    kubectl = (*KUBECTL, "--namespace", str(ops_test.model_name))
    await ops_test.run(*kubectl, "delete", "pod", f"{APP}-2", "--wait=false", check=True)
    assert await call(ops_test, await tracking_uri(ops_test), COUNT_RUNS) == "1"
    await settle(ops_test, APP)
    _, budgets, _ = await ops_test.run(*kubectl, "get", "poddisruptionbudget", f"{APP}-units", "-o", "json", check=True)
    assert json.loads(budgets)["status"]["disruptionsAllowed"] == 1


async def test_actions_answer(ops_test: OpsTest) -> None:
    checked = await run(ops_test, "check-database")
    assert (checked["state"], checked["pending-revisions"]) == ("current", "0")
    assert (await run(ops_test, "migrate-database"))["revisions"] == "0"
    assert (await run(ops_test, "collect-garbage", "dry-run=true", "older-than=1s"))["runs"] == "0"
    shown = (await run(ops_test, "show-config"))["config"]
    assert "[database]" in shown
    assert SECRET_KEY not in shown


async def test_a_wrong_option_blocks_and_the_server_goes_on(ops_test: OpsTest) -> None:
    await juju(ops_test, "config", APP, "workers=0")
    await settle(ops_test, APP, status="blocked")
    assert "workers" in (await application(ops_test))["application-status"]["message"]
    assert await call(ops_test, await tracking_uri(ops_test), COUNT_RUNS) == "1"
    await juju(ops_test, "config", APP, "--reset", "workers")
    await settle(ops_test, APP)


async def test_a_service_for_clients_outside_comes_and_goes(ops_test: OpsTest) -> None:
    kubectl = (*KUBECTL, "--namespace", str(ops_test.model_name), "get", "service", f"{APP}-external")
    await juju(ops_test, "config", APP, "external-service=node-port")
    await settle(ops_test, APP)
    _, service, _ = await ops_test.run(*kubectl, "-o", "json", check=True)
    assert json.loads(service)["spec"]["type"] == "NodePort"
    await juju(ops_test, "config", APP, "--reset", "external-service")
    await settle(ops_test, APP)
    code, _, _ = await ops_test.run(*kubectl)
    assert code != 0


async def test_a_refresh_loses_nothing(ops_test: OpsTest) -> None:
    await juju(ops_test, "refresh", APP, "--path", str(CHARM), "--resource", f"tracking-server-image={IMAGE}")
    await settle(ops_test, APP)
    assert await call(ops_test, await tracking_uri(ops_test), COUNT_RUNS) == "1"


async def test_removal_leaves_no_error_and_the_database_as_it_is(ops_test: OpsTest) -> None:
    await juju(ops_test, "remove-application", APP, "--no-prompt")
    assert ops_test.model is not None
    await ops_test.model.block_until(lambda: APP not in ops_test.model.applications, timeout=10 * MINUTE)

    deploy = ("deploy", str(CHARM), APP, "--resource", f"tracking-server-image={IMAGE}", "--trust")
    await juju(ops_test, *deploy)
    await juju(ops_test, "integrate", f"{APP}:database", "postgresql:database")
    await juju(ops_test, "integrate", f"{APP}:object-storage", "s3-integrator:s3-credentials")
    await settle(ops_test, APP)
    assert await call(ops_test, await tracking_uri(ops_test), COUNT_RUNS) == "1"
