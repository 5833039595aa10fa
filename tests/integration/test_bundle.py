"""On PostgreSQL and S3, as bundle.yaml deploys it: one story of one deployment, told in the order of the tests."""

from __future__ import annotations

import json
import socket

import psycopg
import pytest
from tests.integration import team
from tests.integration.conftest import APP, CONTAINER, LEAN
from tests.integration.providers import PostgreSQL, S3Integrator
from tests.integration.secrecy import Watch, assert_unseen, everything_seen
from tests.integration.team import Logged
from tests.standin.charm_files import CharmFiles
from tests.standin.juju import Juju
from tests.standin.model import Relation
from tests.unit.kubernetes_api import KubernetesApi

from support.postgres import PostgresServer
from support.requirements import REPOSITORY
from support.s3 import S3Server

FIRST, SECOND, THIRD = (f"{APP}/{number}" for number in range(3))

_LOG_A_RUN = """
import json, mlflow
with mlflow.start_run(run_name="by the consumer") as run:
    mlflow.log_metric("loss", 0.5)
print(json.dumps({"run_id": run.info.run_id}))
"""


class Deployment:
    """What the story is about, and what was acknowledged so far."""

    def __init__(self, juju: Juju, database: PostgreSQL, bucket: S3Integrator) -> None:
        self.juju = juju
        self.database = database
        self.bucket = bucket
        self.runs: list[Logged] = []

    def address(self, unit: str = FIRST) -> str:
        return self.juju.model.unit(unit).address

    def log(self, name: str, unit: str = FIRST) -> Logged:
        run = team.log_run(self.address(unit), name)
        self.runs.append(run)
        return run

    def assert_all_kept(self, unit: str = FIRST) -> None:
        team.assert_kept(self.address(unit), *self.runs)

    @property
    def relation(self) -> Relation:
        return self.database.relations[-1]


@pytest.fixture(scope="module")
def deployed(juju: Juju, charm: CharmFiles, database: PostgreSQL, bucket: S3Integrator, watch: Watch) -> Deployment:
    """Deployed and integrated at once, as ``juju deploy ./bundle.yaml --trust`` does."""
    # The first unit's pod comes up when all is related already.
    juju.deploy(charm, APP, units=0, trust=True, config=LEAN)
    juju.integrate(f"{APP}:database", "postgresql:database")
    juju.integrate(f"{APP}:object-storage", "s3-integrator:s3-credentials")
    juju.add_unit(APP)
    juju.wait(lambda: str(juju.status(FIRST)) == "active")
    return Deployment(juju, database, bucket)


def test_it_serves_from_the_integrations(deployed: Deployment) -> None:
    deployed.log("first")
    deployed.assert_all_kept()
    assert any(key.startswith("mlflow/artifacts/") for key in deployed.bucket.objects())
    files = deployed.juju.agents[FIRST].pod.run_in(CONTAINER, ["find", "/data", "-type", "f"])
    assert files.stdout == ""


def test_a_rotated_password_is_used_at_once(deployed: Deployment) -> None:
    before = len(deployed.juju.dispatched)
    deployed.database.rotate(deployed.relation)
    deployed.juju.wait(lambda: str(deployed.juju.status(FIRST)) == "active")
    # Nothing but Juju's word about the secret, and on a slow machine Pebble's about the restart.
    events = {event.event for event in deployed.juju.dispatched[before:]}
    checks = {f"{CONTAINER}-pebble-check-failed", f"{CONTAINER}-pebble-check-recovered"}
    assert events - checks == {"secret-changed"}
    deployed.log("after the rotation")
    deployed.assert_all_kept()


def test_a_consumer_logs_a_run_with_what_it_got(deployed: Deployment, charm: CharmFiles) -> None:
    juju = deployed.juju
    requirer = CharmFiles.read(REPOSITORY / "tests/integration/requirer_charm")
    juju.deploy(requirer.pack(juju.folder / "requirer", lib=charm.folder / "lib"), "trainer")
    juju.integrate("trainer:tracking-server", f"{APP}:tracking-server")
    uri = "http://mlflow.ml.svc.cluster.local:5000"
    juju.wait(lambda: str(juju.status("trainer/0")) == f"active: {uri}")

    variables = juju.run("trainer/0", "get-tracking-server").results
    environment = {name.upper().replace("-", "_"): value for name, value in variables.items() if value}
    python = ["python", "-c", _LOG_A_RUN]
    done = juju.agents["trainer/0"].pod.run_charm(environment, 120, python)
    assert done.returncode == 0, done.stderr
    run_id = json.loads(done.stdout.splitlines()[-1])["run_id"]
    assert team.client(deployed.address()).get_run(run_id).data.metrics == {"loss": 0.5}

    juju.remove_application("trainer")
    juju.settle()
    assert "trainer/0" not in juju.agents


def test_garbage_is_collected(deployed: Deployment) -> None:
    unwanted = team.log_run(deployed.address(), "unwanted")
    mlflow = team.client(deployed.address())
    mlflow.delete_run(unwanted.run_id)
    before = deployed.bucket.objects()
    mine = {key for key in before if unwanted.run_id in key}
    assert mine

    dry = deployed.juju.run(FIRST, "collect-garbage", older_than="0s", dry_run=True)
    assert dry.succeeded, dry.failure
    assert (dry.results["runs"], dry.results["dry-run"]) == ("1", "true")
    assert deployed.bucket.objects() == before

    done = deployed.juju.run(FIRST, "collect-garbage", older_than="0s")
    assert done.succeeded, done.failure
    assert (done.results["runs"], done.results["objects"]) == ("1", str(len(mine)))
    assert done.log
    assert deployed.bucket.objects() == before - mine
    with psycopg.connect(deployed.database.uri(deployed.relation)) as connection:
        assert (unwanted.run_id,) not in connection.execute("SELECT run_uuid FROM runs").fetchall()
    deployed.assert_all_kept()


def test_postgresql_is_lost_and_comes_back(deployed: Deployment, postgres: PostgresServer) -> None:
    juju = deployed.juju
    postgres.stop()
    juju.wait_for(APP, "waiting", "database")
    assert juju.agents[FIRST].dispatched[-1].event == f"{CONTAINER}-pebble-check-failed"

    postgres.start()
    juju.wait_for(APP, "active")
    deployed.log("after the outage")
    deployed.assert_all_kept()


def test_every_unit_serves(deployed: Deployment, kubernetes: KubernetesApi) -> None:
    for _ in range(2):
        deployed.juju.add_unit(APP)
    deployed.juju.wait_for(APP, "active")
    for unit in (FIRST, SECOND, THIRD):
        deployed.log(f"by unit {unit[-1]}", unit)
    for unit in (FIRST, SECOND, THIRD):
        deployed.assert_all_kept(unit)
    assert ("PATCH", "apis/policy/v1/poddisruptionbudgets/mlflow-units") in kubernetes.writes


def test_the_leaders_unit_is_lost(deployed: Deployment) -> None:
    juju = deployed.juju
    juju.kill_pod(FIRST)
    juju.elect(SECOND)
    juju.settle()
    for unit in (SECOND, THIRD):
        assert str(juju.status(unit)) == "active"
        deployed.log(f"by unit {unit[-1]} without the first", unit)
        deployed.assert_all_kept(unit)

    juju.start_pod(FIRST)
    juju.wait_for(APP, "active")
    deployed.assert_all_kept(FIRST)


def test_units_are_removed(deployed: Deployment) -> None:
    juju = deployed.juju
    for unit in (THIRD, FIRST):
        juju.remove_unit(unit)
    juju.settle()
    assert list(juju.model.app(APP).units) == [SECOND]
    assert str(juju.status(SECOND)) == "active"
    deployed.assert_all_kept(SECOND)


def test_a_removed_database_is_asked_for_and_served_again(deployed: Deployment) -> None:
    juju = deployed.juju
    juju.remove_relation(deployed.relation)
    juju.settle()
    assert juju.status(SECOND).name == "blocked"
    assert f"juju integrate {APP}:database" in juju.status(SECOND).message
    assert not _is_served(deployed.address(SECOND))

    juju.integrate(f"{APP}:database", "postgresql:database")
    juju.wait(lambda: str(juju.status(SECOND)) == "active")
    deployed.assert_all_kept(SECOND)


def test_no_secret_was_seen(deployed: Deployment, s3: S3Server, watch: Watch) -> None:
    deployed.juju.run(SECOND, "show-config")
    own = "\n".join(line for line in watch.command_lines if "tracking-server" in line or "charm" in line)
    assert "serve --config" in own
    secrets = [*deployed.database.passwords, s3.secret_key]
    assert len(secrets) > 3
    assert_unseen(secrets, everything_seen(deployed.juju) | {"arguments of processes": own})


def test_removing_the_application_deletes_no_data(deployed: Deployment, postgres: PostgresServer) -> None:
    juju, objects = deployed.juju, deployed.bucket.objects()
    juju.remove_application(APP)
    juju.settle()
    assert not juju.model.app(APP).units
    assert not juju.agents
    assert deployed.bucket.objects() == objects
    with psycopg.connect(postgres.uri("mlflow", "postgres")) as connection:
        runs = connection.execute("SELECT run_uuid FROM runs").fetchall()
    assert {run.run_id for run in deployed.runs} <= {run_id for (run_id,) in runs}


def _is_served(address: str) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex((address, 5000)) == 0
