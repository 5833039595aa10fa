"""Stock's command line and environment."""

from __future__ import annotations

from pathlib import Path

from mlflow.cli import server as stock_server

from tracking_server.config import (
    ArtifactSettings,
    Config,
    DatabaseSettings,
    ServerSettings,
    StockSettings,
)
from tracking_server.settings import Secret, SecretMap
from tracking_server.settings_database import DatabaseUri
from tracking_server.upstream import command

SECRETS = ("db-password", "s3-secret", "gateway-key")


def config() -> Config:
    return Config(
        server=ServerSettings(host="0.0.0.0", static_prefix="/mlflow"),  # noqa: S104  nothing is bound
        database=DatabaseSettings(uri=DatabaseUri.parse("postgresql://me@db/mlflow"), password=Secret("db-password")),
        artifacts=ArtifactSettings(
            destination="s3://bucket/a",
            s3_endpoint="https://s3.example.com",
            s3_access_key_id=Secret("key-id"),
            s3_secret_access_key=Secret("s3-secret"),
        ),
        stock=StockSettings(
            environment=SecretMap({"OPENAI_API_KEY": "gateway-key"}), arguments=("--secrets-cache-ttl", "120")
        ),
    )


def test_no_secret_stands_on_the_command_line() -> None:
    line = " ".join(command.stock_command(config(), Path("/s/stock.sock"), 5000))
    assert not any(secret in line for secret in SECRETS)
    assert "--secrets-cache-ttl 120" in line
    environment = command.stock_environment(config(), {})
    assert all(any(secret in value for value in environment.values()) for secret in SECRETS)


def test_background_jobs_find_the_door() -> None:
    line = command.stock_command(config(), Path("/s/stock.sock"), 5012)
    assert line[line.index("--host") + 1] == "127.0.0.1"
    assert line[line.index("--port") + 1] == "5012"


def test_variables_for_another_server_do_not_reach_ours() -> None:
    inherited = {
        "MLFLOW_TRACKING_URI": "http://elsewhere",
        "MLFLOW_GUNICORN_OPTS": "--reload",
        "MLFLOW_BACKEND_STORE_URI": "sqlite:///other.db",
        "_MLFLOW_SERVER_FILE_STORE": "sqlite:///other.db",
        "TRACKING_SERVER_DATABASE_PASSWORD": "x",
        "MLFLOW_CRYPTO_KEK_PASSPHRASE": "kept",
        "HOME": "/home/me",
    }
    environment = command.stock_environment(config(), inherited)
    assert environment["MLFLOW_BACKEND_STORE_URI"].startswith("postgresql+psycopg://me:db-password@db")
    assert environment["MLFLOW_STATIC_PREFIX"] == "/mlflow"
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert (environment["MLFLOW_CRYPTO_KEK_PASSPHRASE"], environment["HOME"]) == ("kept", "/home/me")
    dropped = inherited.keys() - {"MLFLOW_BACKEND_STORE_URI", "MLFLOW_CRYPTO_KEK_PASSPHRASE", "HOME"}
    assert not dropped & environment.keys()


def test_every_variable_that_stock_takes_options_from_is_ours_to_set() -> None:
    """A variable for a new option of `mlflow server` must be added, or somebody's shell could change our stock."""
    names = {parameter.envvar for parameter in stock_server.params if isinstance(parameter.envvar, str)}
    theirs = {"MLFLOW_TRACE_ARCHIVAL_CONFIG", "MLFLOW_WORKSPACE_STORE_URI"}
    environment = command.stock_environment(config(), dict.fromkeys(names, "elsewhere"))
    assert {name for name in names if environment.get(name) == "elsewhere"} <= theirs
