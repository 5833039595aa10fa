"""Which database is whose, and MLflow's tables in an empty one."""

from __future__ import annotations

import asyncio
from contextlib import closing
from importlib.metadata import version

import pytest

from tracking_server import startup
from tracking_server.exit_codes import FatalError
from tracking_server.store import schema
from tracking_server.store.database import Dialect
from tracking_server.store.schema import SchemaState, classify, head_of, installed_revisions
from unit.store.conftest import Open, Place

MLFLOW = {"alembic_version", "experiments", "runs", "metrics"}
CHAIN = {"aaa": None, "bbb": "aaa", "dc11669786a5": "bbb"}


def stock_uri(place: Place) -> str:
    return f"sqlite:///{place.address}" if place.dialect is Dialect.SQLITE else place.address


async def test_an_empty_database_gets_mlflows_schema_from_several_servers_at_once(
    open_database: Open, place: Place
) -> None:
    database = await open_database()
    assert (await schema.probe(database)).state is SchemaState.EMPTY

    await asyncio.gather(*(startup.initialise(stock_uri(place), "mlflow-artifacts:/") for _ in range(2)))

    found = await schema.probe(database)
    assert (found.state, found.native, found.servable) == (SchemaState.TESTED, True, True)
    assert place.rows("SELECT name, artifact_location FROM experiments") == [("Default", "mlflow-artifacts:/0")]

    with closing(place.outside()) as other:
        other.execute("UPDATE alembic_version SET version_num = '75868b020152'")
    behind = await schema.probe(database)
    assert (behind.state, behind.servable) == (SchemaState.BEHIND, False)
    assert "tracking-server db upgrade" in behind.explain()


async def test_foreign_tables_are_refused(open_database: Open, place: Place) -> None:
    database = await open_database()
    with closing(place.outside()) as other:
        other.execute("CREATE TABLE customers (name text)")

    found = await schema.probe(database)

    assert (found.state, found.native, found.servable) == (SchemaState.NOT_MLFLOW, False, False)


@pytest.mark.parametrize(
    ("tables", "found", "state"),
    [
        (set(), [], SchemaState.EMPTY),
        ({"alembic_version"}, [], SchemaState.EMPTY),
        (MLFLOW, ["dc11669786a5"], SchemaState.TESTED),
        (MLFLOW, ["bbb"], SchemaState.BEHIND),
        (MLFLOW, ["from-the-future"], SchemaState.UNKNOWN),
        (MLFLOW, ["bbb", "dc11669786a5"], SchemaState.UNKNOWN),
        (MLFLOW, [], SchemaState.NOT_MLFLOW),
        ({"customers"}, [], SchemaState.NOT_MLFLOW),
        ({"customers", "alembic_version"}, ["1234"], SchemaState.NOT_MLFLOW),
    ],
)
def test_states(tables: set[str], found: list[str], state: SchemaState) -> None:
    result = classify(tables, found, CHAIN)

    assert result.state is state
    assert result.explain()


def test_a_newer_mlflow_is_served_by_forwarding() -> None:
    newer = CHAIN | {"newer": "dc11669786a5"}

    assert classify(MLFLOW, ["newer"], newer).state is SchemaState.UNKNOWN
    assert classify(MLFLOW, ["dc11669786a5"], newer).state is SchemaState.BEHIND


def test_the_installed_mlflow_is_the_tested_one() -> None:
    revisions = installed_revisions()

    assert schema.TESTED_REVISIONS[head_of(revisions)] == version("mlflow")
    assert set(revisions.values()) - {None} <= revisions.keys()


async def test_a_failed_initialisation_says_why_without_the_password() -> None:
    with pytest.raises(FatalError) as failed:
        await startup.initialise("postgresql+psycopg://me:hush-hush@127.0.0.1:1/x", "/nowhere")

    assert "refused" in str(failed.value)
    assert "hush" not in str(failed.value)
