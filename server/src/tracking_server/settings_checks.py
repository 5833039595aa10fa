"""What must hold between settings, beyond what each one allows on its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tracking_server.config import ArtifactKind, Config, DatabaseSettings
from tracking_server.settings_database import DatabaseKind


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the configuration: where, and what would be right. Holds no secret."""

    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.message}"


def problems(config: Config) -> Iterator[Problem]:
    """The settings that contradict each other."""
    yield from _server(config)
    yield from _database(config.database)
    yield from _stock(config)
    yield from _gc(config)
    artifacts = config.artifacts
    if (artifacts.s3_access_key_id is None) != (artifacts.s3_secret_access_key is None):
        missing = "s3_access_key_id" if artifacts.s3_access_key_id is None else "s3_secret_access_key"
        yield Problem(f"artifacts.{missing}", "is missing; s3_access_key_id and s3_secret_access_key go together")


def warnings(config: Config) -> Iterator[str]:
    """What is allowed and yet worth a line in the log. Holds no secret."""
    if "*" in config.server.allowed_hosts:
        yield "server.allowed_hosts has *: every Host header is answered, so DNS rebinding attacks are possible"
    if "*" in config.server.cors_allowed_origins:
        yield "server.cors_allowed_origins has *: any web page that a user opens may call the API"
    for parameter in config.database.uri.unkept_protections():
        yield f"database.uri has {parameter}, which native connections do not apply; use database.tls verify-full"
    if config.database.kind is DatabaseKind.OTHER:
        yield f"database.uri is {config.database.uri.dialect}: every request is forwarded to stock MLflow"


def _server(config: Config) -> Iterator[Problem]:
    server = config.server
    if (server.tls_certificate is None) != (server.tls_key is None):
        missing = "tls_certificate" if server.tls_certificate is None else "tls_key"
        yield Problem(f"server.{missing}", "is missing; tls_certificate and tls_key go together")


def _database(database: DatabaseSettings) -> Iterator[Problem]:
    if database.pool_min > database.pool_max:
        allowed = f"at most pool_max, which is {database.pool_max}"
        yield Problem("database.pool_min", f"{database.pool_min} is not allowed; allowed: {allowed}")
    if database.kind is not DatabaseKind.POSTGRESQL:
        for name in ("password", "tls", "ca_file"):
            if getattr(database, name) is not None:
                yield Problem(
                    f"database.{name}", f"only PostgreSQL takes it, and database.uri is {database.uri.dialect}"
                )
        return
    parameters = dict(database.connection.parameters)
    mode = parameters.get("sslmode", "")
    own_roots = Path("~/.postgresql/root.crt").expanduser()
    if mode.startswith("verify") and "sslrootcert" not in parameters and not own_roots.exists():
        where = "database.tls" if database.tls else "database.uri"
        yield Problem(where, f"{mode} needs database.ca_file, the authorities that sign PostgreSQL's certificate")


def _stock(config: Config) -> Iterator[Problem]:
    stock = config.stock
    if stock.restart_delay > stock.restart_delay_max:
        allowed = f"at most restart_delay_max, which is {stock.restart_delay_max:g}"
        yield Problem("stock.restart_delay", f"{stock.restart_delay:g} is not allowed; allowed: {allowed}")
    if stock.enabled:
        return
    if config.database.kind is DatabaseKind.OTHER:
        yield Problem("stock.enabled", f"must be true: only stock MLflow serves {config.database.uri.dialect}")
    if config.artifacts.kind is ArtifactKind.OTHER:
        yield Problem("stock.enabled", "must be true: only stock MLflow knows the store in artifacts.destination")


def _gc(config: Config) -> Iterator[Problem]:
    if config.gc.schedule is None:
        return
    if config.gc.older_than is None:
        # What was deleted a minute ago by mistake could not be restored.
        yield Problem("gc.older_than", "is missing; a schedule needs it, such as 30d")
    if config.database.kind is DatabaseKind.OTHER:
        yield Problem("gc.schedule", f"must be unset: {config.database.uri.dialect} is collected by `mlflow gc` alone")
