"""Deployed alone, then moved to PostgreSQL and S3: one story of one deployment, told in the order of the tests."""

from __future__ import annotations

import psycopg
import pytest
from tests.integration import team
from tests.integration.conftest import APP, CONTAINER
from tests.integration.providers import PostgreSQL, S3Integrator
from tests.integration.secrecy import Watch, assert_unseen, everything_seen
from tests.integration.team import Logged
from tests.standin.agent import Dispatched
from tests.standin.charm_files import CharmFiles
from tests.standin.juju import Juju
from tests.unit.kubernetes_api import KubernetesApi

from support.s3 import S3Server

UNIT = f"{APP}/0"
_WRITING_TOOLS = {"relation-set", "secret-add", "secret-set", "secret-grant", "open-port", "close-port", "state-set"}
_WRITING_REQUESTS = ("POST /v1/layers", "POST /v1/services", "POST /v1/checks", "DELETE ")


@pytest.fixture(scope="module")
def alone(juju: Juju, charm: CharmFiles, watch: Watch) -> Logged:
    """Our charm, deployed without --trust and related to nothing, with a run in it."""
    juju.deploy(charm, APP)
    juju.wait_for(APP, "active")
    return team.log_run(_address(juju), "logged alone")


def test_it_serves_and_says_how(juju: Juju, alone: Logged) -> None:
    team.assert_kept(_address(juju), alone)
    assert "embedded mode" in juju.status(UNIT).message
    assert "MLflow" in juju.model.app(APP).workload_version
    assert juju.model.unit(UNIT).ports == {"5000/tcp"}


def test_nothing_runs_as_root_and_files_are_the_servers_own(juju: Juju, alone: Logged) -> None:
    pod = juju.agents[UNIT].pod
    users = {process.uids().effective for process in pod.processes()}
    assert users == {584792, pod.charm_user["uid"]}

    listing = pod.run_in(CONTAINER, ["stat", "--format=%a %u %n", "/etc/tracking-server/tracking-server.toml"])
    assert listing.stdout == "600 584792 /etc/tracking-server/tracking-server.toml\n"
    # Of the charm's files the workload sees none, and the charm none of the workload's.
    assert pod.run_charm({}, 30, ["ls", "/etc/tracking-server"]).returncode != 0


def test_an_event_without_a_change_writes_nothing(juju: Juju, alone: Logged, kubernetes: KubernetesApi) -> None:
    pod = juju.agents[UNIT].pod
    server = {process.pid for process in pod.processes() if process.uids().effective == 584792}
    log, written = len(pod.log(CONTAINER)), len(kubernetes.writes)

    juju.update_status(APP)
    juju.config(APP, log_level="info")
    juju.lifecycle.config_changed(APP)
    juju.settle()

    for event in juju.agents[UNIT].dispatched[-2:]:
        assert not _WRITING_TOOLS & {call[0] for call in event.calls}, event
    requests = pod.log(CONTAINER)[log:]
    assert not [request for request in _WRITING_REQUESTS if request in requests]
    assert len(kubernetes.writes) == written
    assert server <= {process.pid for process in pod.processes()}


def test_actions_answer(juju: Juju, alone: Logged) -> None:
    address = juju.run(UNIT, "get-tracking-uri")
    assert address.results == {"tracking-uri": "http://mlflow.ml.svc.cluster.local:5000"}
    database = juju.run(UNIT, "check-database")
    assert database.results["state"] == "current"
    assert database.results["current-revision"] == database.results["target-revision"]


def test_a_wrong_option_blocks_and_the_server_goes_on(juju: Juju, alone: Logged) -> None:
    juju.config(APP, artifact_serving="sometimes")
    juju.settle()
    assert juju.status(UNIT).name == "blocked"
    assert "artifact-serving" in juju.status(UNIT).message
    assert "proxied" in juju.status(UNIT).message
    team.assert_kept(_address(juju), alone)

    juju.reset_config(APP, "artifact-serving")
    juju.wait_for(APP, "active")


def test_integrations_do_not_hide_the_embedded_data(
    juju: Juju, alone: Logged, database: PostgreSQL, bucket: S3Integrator
) -> None:
    juju.integrate(f"{APP}:database", "postgresql:database")
    juju.integrate(f"{APP}:object-storage", "s3-integrator:s3-credentials")
    juju.wait_for(APP, "active", "copy-embedded-data")
    team.assert_kept(_address(juju), alone)


def test_the_embedded_data_is_copied_and_served_from_the_integrations(
    juju: Juju, alone: Logged, database: PostgreSQL, bucket: S3Integrator
) -> None:
    assert bucket.objects() == set()
    copy = juju.run(UNIT, "copy-embedded-data")
    assert copy.succeeded, copy.failure
    assert copy.log
    juju.wait_for(APP, "active")
    assert juju.status(UNIT).message == ""

    team.assert_kept(_address(juju), alone)
    (relation,) = database.relations
    with psycopg.connect(database.uri(relation)) as connection:
        names = connection.execute("SELECT name FROM runs").fetchall()
    assert names == [("logged alone",)]
    assert any(key.endswith("model/weights.txt") for key in bucket.objects())
    # What was there stays there.
    embedded = juju.agents[UNIT].pod.run_in(
        CONTAINER, ["find", "/data", "-name", "mlflow.db", "-o", "-name", "weights.txt"]
    )
    assert len(embedded.stdout.split()) == 2

    team.assert_kept(_address(juju), team.log_run(_address(juju), "logged after the copy"))


def test_no_secret_was_seen(juju: Juju, alone: Logged, database: PostgreSQL, s3: S3Server, watch: Watch) -> None:
    juju.run(UNIT, "show-config")
    secrets = [*database.passwords, s3.secret_key]
    assert len(secrets) > 1
    own = "\n".join(line for line in watch.command_lines if "tracking-server" in line or "charm" in line)
    assert "serve --config" in own
    assert_unseen(secrets, everything_seen(juju) | {"arguments of processes": own})


def test_the_container_can_be_lost(juju: Juju, alone: Logged) -> None:
    juju.restart_container(UNIT, CONTAINER)
    juju.wait(lambda: _last(juju).event == f"{CONTAINER}-pebble-ready")
    juju.wait_for(APP, "active")
    team.assert_kept(_address(juju), alone)


def _address(juju: Juju) -> str:
    return juju.model.unit(UNIT).address


def _last(juju: Juju) -> Dispatched:
    return juju.agents[UNIT].dispatched[-1]
