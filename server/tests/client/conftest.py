"""The tracking server that MLflow's own client talks to: once on SQLite and disk, once on PostgreSQL and S3.

``CLIENT_SERVER=stock`` puts stock MLflow in its place: every test that runs there must pass too, which shows that
the tests ask for what stock does.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import mlflow
import pytest

from support.databases import Databases
from support.ours import TrackingServer
from support.processes import ServerProcess
from support.s3 import S3Server
from support.stock import StockServer


@pytest.fixture(scope="session", params=["sqlite-disk", "postgresql-s3"])
def server(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """One server for all tests of its kind; ours has two workers, which must see each other's writes."""
    folder = tmp_path_factory.mktemp(f"client-{request.param}")
    s3: S3Server | None = None
    if request.param == "sqlite-disk":
        database, destination = databases.sqlite(), str(folder / "artifacts")
    else:
        s3 = request.getfixturevalue("s3_server")
        database, destination = databases.postgresql(), s3.create_bucket(f"client-{secrets.token_hex(4)}")
    running: ServerProcess
    if os.environ.get("CLIENT_SERVER") == "stock":
        running = StockServer(
            folder,
            backend_store_uri=database,
            artifacts_destination=destination,
            environment=s3.client_environment() if s3 else {},
        )
    else:
        running = TrackingServer(
            folder,
            database_uri=database,
            artifacts_destination=destination,
            workers=2,
            eager=True,
            settings={"artifacts": s3.artifact_settings()} if s3 else {},
        )
    with running:
        yield running


@pytest.fixture
def experiment_id(server: ServerProcess) -> Iterator[str]:
    """A new experiment that is MLflow's active one, as are the server and its registry.

    What a notebook's first lines set, in the process and in its environment, is as before afterwards.
    """
    environment = dict(os.environ)
    mlflow.set_tracking_uri(server.url)
    yield mlflow.set_experiment(f"experiment {secrets.token_hex(4)}").experiment_id
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri("")
    os.environ.clear()
    os.environ.update(environment)
