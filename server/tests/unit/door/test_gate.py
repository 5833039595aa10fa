"""When native handlers must not run."""

import dataclasses

import pytest

from tracking_server.config import Config, SecretMap
from tracking_server.door.gate import NativeGate
from tracking_server.door.route import Route
from tracking_server.door.table import TABLE
from tracking_server.errors import Unavailable
from tracking_server.settings_database import DatabaseUri
from tracking_server.store.schema import Schema, SchemaState

TESTED = Schema(SchemaState.TESTED, "dc11669786a5", "dc11669786a5")
UNKNOWN = Schema(SchemaState.UNKNOWN, "0123456789ab", "dc11669786a5")


def row(label: str) -> Route:
    return next(route for route in TABLE if route.label == label)


def reasons(config: Config, schema: Schema | None, environment: dict[str, str] | None = None) -> dict[str, str | None]:
    gate = NativeGate(config, environment or {})
    gate.schema = schema
    labels = ("server.health", "ui.index", "runs.search", "registered-models.get", "ui.graphql")
    return {label: gate.forward_reason(row(label)) for label in labels}


def with_stock(**changes: object) -> Config:
    config = Config()
    return dataclasses.replace(config, stock=dataclasses.replace(config.stock, **changes))  # type: ignore[arg-type]  # each value fits its setting


def test_a_tested_schema_opens_the_gate() -> None:
    found = reasons(Config(), TESTED)
    assert found == {
        "server.health": None,
        "ui.index": None,
        "runs.search": None,
        "registered-models.get": None,
        "ui.graphql": "route",
    }


def test_an_unknown_schema_forwards_whatever_reads_the_database() -> None:
    found = reasons(Config(), UNKNOWN)
    assert found["runs.search"] == found["registered-models.get"] == "schema"
    assert found["ui.index"] is found["server.health"] is None


def test_nothing_is_decided_before_the_schema_is_known() -> None:
    with pytest.raises(Unavailable):
        reasons(Config(), None)


@pytest.mark.parametrize(
    ("changes", "environment"),
    [
        ({"arguments": ("--app-name", "basic-auth")}, {}),
        ({"arguments": ("--app-name=basic-auth",)}, {}),
        ({"environment": SecretMap({"MLFLOW_ENABLE_WORKSPACES": "true"})}, {}),
        ({}, {"MLFLOW_TRUNCATE_LONG_VALUES": "false"}),
    ],
)
def test_an_option_that_changes_answers_or_asks_who_is_there_forwards_everything(
    changes: dict[str, object], environment: dict[str, str]
) -> None:
    found = reasons(with_stock(**changes), TESTED, environment)
    assert found["ui.index"] == found["runs.search"] == "stock-option"
    assert found["server.health"] is None


def test_other_options_of_stock_change_nothing() -> None:
    assert reasons(with_stock(arguments=("--secrets-cache-ttl", "60")), TESTED)["runs.search"] is None


def test_mysql_and_a_registry_of_its_own_are_forwarded() -> None:
    config = Config()
    mysql = dataclasses.replace(config.database, uri=DatabaseUri.parse("mysql+pymysql://u@db/mlflow"))
    assert reasons(dataclasses.replace(config, database=mysql), TESTED)["runs.search"] == "database-kind"
    apart = dataclasses.replace(config.database, registry_uri=DatabaseUri.parse("sqlite:///other.db"))
    found = reasons(dataclasses.replace(config, database=apart), TESTED)
    assert found["registered-models.get"] == "registry-uri"
    assert found["runs.search"] is None


def test_what_stock_answers_waits_for_the_database_too() -> None:
    gate = NativeGate(Config(), {})
    assert gate.forward_reason(row("ui.index")) is gate.forward_reason(row("server.health")) is None
    with pytest.raises(Unavailable):
        gate.forward_reason(row("ui.graphql"))
