"""A database that MLflow 2.22 made and filled: refused, examined, migrated, and served with all that was in it."""

from __future__ import annotations

import json
import subprocess

import psycopg
import pytest
from tests.integration import team
from tests.integration.conftest import APP, LEAN
from tests.integration.providers import PostgreSQL, S3Integrator
from tests.standin.charm_files import CharmFiles
from tests.standin.juju import Juju

from support.postgres import PostgresServer
from support.processes import plain_environment
from support.requirements import requires

UNIT = f"{APP}/0"

_FILL = """
import json, mlflow
mlflow.set_experiment("old experiment")
with mlflow.start_run(run_name="old run") as run:
    mlflow.log_params({"depth": 3, "rate": 0.1})
    for step in range(5):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.set_tag("team", "digits")
mlflow.MlflowClient().create_registered_model("old model", tags={"stage": "test"})
print(json.dumps({"version": mlflow.__version__, "run_id": run.info.run_id}))
"""


@pytest.fixture(scope="module")
def old_run(postgres: PostgresServer) -> str:
    """A run in the database ``mlflow`` of MLflow 2.22; its id."""
    environment = plain_environment(
        {"MLFLOW_TRACKING_URI": postgres.create_database("mlflow"), "MLFLOW_ENABLE_ASYNC_LOGGING": "false"}
    )
    python = requires("mlflow-2.22")
    done = subprocess.run([python, "-c", _FILL], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout.splitlines()[-1])
    assert made["version"].startswith("2.22.")
    return str(made["run_id"])


@pytest.fixture(scope="module")
def deployed(juju: Juju, charm: CharmFiles, database: PostgreSQL, bucket: S3Integrator, old_run: str) -> PostgreSQL:
    """Deployed on the old database."""
    juju.deploy(charm, APP, units=0, config=LEAN)
    juju.integrate(f"{APP}:database", "postgresql:database")
    juju.integrate(f"{APP}:object-storage", "s3-integrator:s3-credentials")
    juju.add_unit(APP)
    juju.settle()
    return database


def test_an_older_database_is_blocked_and_left_as_it_is(
    juju: Juju, deployed: PostgreSQL, postgres: PostgresServer
) -> None:
    assert juju.status(UNIT).name == "blocked"
    assert "run migrate-database" in juju.status(UNIT).message
    check = juju.run(UNIT, "check-database")
    assert check.results["state"] == "behind"
    assert check.results["current-revision"] == _revision(postgres)
    assert check.results["current-mlflow"].startswith("2.22")
    assert len(check.results["migration"].splitlines()) == int(check.results["pending-revisions"]) > 5
    assert _revision(postgres) != check.results["target-revision"]


def test_the_action_migrates_it_and_everything_is_there(
    juju: Juju, deployed: PostgreSQL, postgres: PostgresServer, old_run: str
) -> None:
    target = juju.run(UNIT, "check-database").results["target-revision"]
    migration = juju.run(UNIT, "migrate-database")
    assert migration.succeeded, migration.failure
    assert migration.results["to"] == target == _revision(postgres)
    assert migration.log
    juju.wait(lambda: str(juju.status(UNIT)) == "active")

    mlflow = team.client(juju.model.unit(UNIT).address)
    run = mlflow.get_run(old_run)
    assert (run.info.run_name, run.data.params) == ("old run", {"depth": "3", "rate": "0.1"})
    assert [point.value for point in mlflow.get_metric_history(old_run, "loss")] == [1.0, 1 / 2, 1 / 3, 1 / 4, 1 / 5]
    assert mlflow.get_registered_model("old model").tags == {"stage": "test"}
    address = juju.model.unit(UNIT).address
    team.assert_kept(address, team.log_run(address, "after the migration"))


def test_a_second_migration_has_nothing_to_do(juju: Juju, deployed: PostgreSQL) -> None:
    again = juju.run(UNIT, "migrate-database")
    assert again.succeeded, again.failure
    assert again.results["revisions"] == "0"
    assert str(juju.status(UNIT)) == "active"


def _revision(postgres: PostgresServer) -> str:
    with psycopg.connect(postgres.uri("mlflow", "postgres")) as connection:
        ((revision,),) = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    return str(revision)
