"""Every setting of the server, once: type, default, limits and help.

The command line, the TOML loader, ``config check`` and docs/configuration.md are generated from this structure.
A ``Config`` from ``settings_loader.load`` is complete: secrets are read from their files, values are checked.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlparse

from tracking_server.settings import Secret, SecretMap, setting
from tracking_server.settings_choices import (
    DEFAULT_ALLOWED_HOSTS,
    AddressingStyle,
    ArtifactKind,
    FrameOptions,
    LogFormat,
    LogLevel,
    StockJobs,
    StockStart,
    TlsMode,
)
from tracking_server.settings_database import DatabaseKind, DatabaseUri
from tracking_server.settings_gc import GcSettings
from tracking_server.settings_stock import StockSettings

__all__ = [
    "AddressingStyle",
    "ArtifactKind",
    "ArtifactSettings",
    "Config",
    "DatabaseKind",
    "DatabaseSettings",
    "FrameOptions",
    "GcSettings",
    "LimitSettings",
    "LogFormat",
    "LogLevel",
    "LoggingSettings",
    "Secret",
    "SecretMap",
    "ServerSettings",
    "StockJobs",
    "StockSettings",
    "StockStart",
    "TlsMode",
]


def _is_static_prefix(value: str) -> bool:
    # The rules of mlflow/cli/__init__.py, _validate_static_prefix, and no character that ends a path.
    return not value or (value.startswith("/") and not value.endswith("/") and not re.search(r"[{}?#%\s]", value))


def _is_destination(value: str) -> bool:
    return bool(value.strip()) and urlparse(value).scheme not in ("http", "https", "mlflow-artifacts")


def _is_web_address(value: str) -> bool:
    return urlparse(value).scheme in ("http", "https") and bool(urlparse(value).netloc)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where the server listens, and which browsers may talk to it."""

    host: str = setting(
        "127.0.0.1",
        "Address to listen on; 0.0.0.0 for every network interface.",
        check=bool,
        allowed="an address or the name of one",
    )
    port: int = setting(5000, "Port to listen on; 0 takes any free one.", minimum=0, maximum=65535)
    workers: int = setting(1, "Serving processes; 0 makes one for each processor core.", minimum=0, maximum=256)
    static_prefix: str = setting(
        "",
        "Path before every route, such as /mlflow behind a proxy.",
        check=_is_static_prefix,
        allowed="a path that begins with '/', does not end in '/' and has no space and none of { } ? # %",
    )
    allowed_hosts: tuple[str, ...] = setting(
        DEFAULT_ALLOWED_HOSTS,
        "Host headers that are answered, with * as wildcard; a name without a port matches every port. The default"
        " is this machine and private networks, as stock MLflow's. A public name must be listed here.",
        check=bool,
        allowed="a list of at least one host name or pattern",
    )
    cors_allowed_origins: tuple[str, ...] = setting(
        (), "Origins of web pages that may call the API, besides this machine's own; * allows every page."
    )
    x_frame_options: FrameOptions = setting(
        FrameOptions.SAMEORIGIN, "Which pages may show the UI in a frame; NONE sends no such header."
    )
    shutdown_grace: float = setting(
        30.0,
        "How long accepted requests may take to finish after SIGTERM.",
        minimum=0,
        maximum=3600,
        unit="seconds",
    )
    keep_alive: float = setting(
        75.0,
        "How long an idle connection stays open; longer than a proxy's before us, or it answers 502.",
        minimum=1,
        maximum=3600,
        unit="seconds",
    )
    tls_certificate: Path | None = setting(
        None, "PEM file of the certificate and its chain, to serve HTTPS.", existing_file=True
    )
    tls_key: Path | None = setting(None, "PEM file of the certificate's private key.", existing_file=True)

    @property
    def worker_count(self) -> int:
        """The number of worker processes, with 0 resolved to the cores this process may use."""
        return self.workers or len(os.sched_getaffinity(0))

    @property
    def url(self) -> str:
        """The URL that a client on this machine uses (with the configured port, which may be 0)."""
        name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104  compared, not bound
        shown = f"[{name}]" if ":" in name else name
        scheme = "https" if self.tls_certificate else "http"
        return f"{scheme}://{shown}:{self.port}{self.static_prefix}"


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """MLflow's database."""

    uri: DatabaseUri = setting(
        DatabaseUri.parse("sqlite:///data/mlflow.db"),
        "Where the database is. PostgreSQL and SQLite are answered natively; with MySQL and SQL Server every request"
        " is forwarded to stock MLflow.",
        stock_flag="--backend-store-uri",
        example="postgresql://mlflow@db.example.com:5432/mlflow",
    )
    uri_file: Path | None = setting(None, "File that holds the URI.", existing_file=True)
    password: Secret | None = setting(None, "Password, instead of one inside the URI.")
    password_file: Path | None = setting(None, "File that holds the password.", existing_file=True)
    registry_uri: DatabaseUri | None = setting(
        None,
        "A database of its own for the model registry. Where it differs from uri, the registry's requests are"
        " forwarded to stock MLflow.",
        stock_flag="--registry-store-uri",
        example="postgresql://mlflow@db.example.com:5432/registry",
    )
    registry_uri_file: Path | None = setting(None, "File that holds the registry's URI.", existing_file=True)
    pool_min: int = setting(1, "Connections that each worker keeps open.", minimum=0, maximum=1000)
    pool_max: int = setting(10, "Connections that each worker opens at most.", minimum=1, maximum=1000)
    transaction_pooling: bool = setting(
        False, "PostgreSQL is reached through a pooler in transaction mode, such as PgBouncer; costs some speed."
    )
    tls: TlsMode | None = setting(
        None,
        "TLS to PostgreSQL, as libpq's sslmode; unset leaves it to the URI, and then to prefer.",
        example="verify-full",
    )
    ca_file: Path | None = setting(
        None, "PEM file of the authorities that sign PostgreSQL's certificate.", existing_file=True
    )
    statement_timeout: float = setting(
        60.0, "How long one SQL statement may run; 0 sets no limit.", minimum=0, maximum=86400, unit="seconds"
    )
    wait_seconds: float = setting(
        5.0,
        "How long a request waits for a database that is away, before it is answered 503.",
        minimum=0,
        maximum=300,
        unit="seconds",
    )

    @property
    def kind(self) -> DatabaseKind:
        return self.uri.kind

    @property
    def connection(self) -> DatabaseUri:
        """The URI with the password and the TLS settings of this section put in."""
        return self._complete(self.uri).with_password(self.password)

    @property
    def registry_is_separate(self) -> bool:
        """Whether the model registry lives in another database, which only stock MLflow serves."""
        return self.registry_uri_for_stock() not in (None, self.uri_for_stock())

    def dsn_for_asyncpg(self) -> str:
        """The DSN for asyncpg, password inside. Raises ValueError unless kind is postgresql."""
        if self.kind is not DatabaseKind.POSTGRESQL:
            raise ValueError("not a PostgreSQL database")
        return self.connection.for_asyncpg()

    def sqlite_path(self) -> Path:
        """The absolute path of the SQLite file. Raises ValueError unless kind is sqlite."""
        return self.uri.sqlite_path()

    def uri_for_stock(self) -> str:
        """The URI for stock MLflow (SQLAlchemy with psycopg 3), password inside: for its environment, not for logs."""
        return self.connection.for_sqlalchemy()

    def registry_uri_for_stock(self) -> str | None:
        """The registry's URI for stock MLflow, or None where it shares the database."""
        return None if self.registry_uri is None else self._complete(self.registry_uri).for_sqlalchemy()

    def _complete(self, uri: DatabaseUri) -> DatabaseUri:
        if uri.kind is not DatabaseKind.POSTGRESQL:
            return uri
        return uri.with_parameters(
            sslmode=None if self.tls is None else str(self.tls),
            sslrootcert=None if self.ca_file is None else str(self.ca_file),
        )


@dataclass(frozen=True, slots=True)
class ArtifactSettings:
    """Where artifacts are stored, and how clients reach them."""

    destination: str = setting(
        "./data/artifacts",
        "Where artifacts are stored.",
        check=_is_destination,
        allowed="a path, file:///PATH, s3://BUCKET/PATH, gs://BUCKET/PATH, wasbs://… or abfss://…, or, forwarded to"
        " stock MLflow, another store that MLflow knows",
        stock_flag="--artifacts-destination",
        example="s3://mlflow/artifacts",
    )
    serve: bool = setting(
        True,
        "Let clients reach artifacts through this server; off, they need access to the store themselves.",
        stock_flag="--serve-artifacts",
    )
    default_root: str | None = setting(
        None,
        "Artifact location of new experiments; unset is mlflow-artifacts:/ (through this server) where serve is on,"
        " else destination.",
        stock_flag="--default-artifact-root",
        example="s3://mlflow/artifacts",
    )
    presigned: bool = setting(
        True, "Hand out URLs of the store itself to clients that ask for them; off where they cannot reach it."
    )
    s3_endpoint: str | None = setting(
        None,
        "Address of an S3-compatible store; unset is AWS.",
        check=_is_web_address,
        allowed="a URL that begins with http:// or https://",
        example="https://s3.example.com",
    )
    s3_region: str | None = setting(None, "Region of the bucket.", example="eu-west-1")
    s3_ca_file: Path | None = setting(
        None, "PEM file of the authorities that sign the store's certificate.", existing_file=True
    )
    s3_addressing_style: AddressingStyle = setting(
        AddressingStyle.AUTO,
        "Bucket in the path or in the host name; auto is path where s3_endpoint is set, else virtual.",
    )
    s3_access_key_id: Secret | None = setting(None, "Access key; unset leaves it to the AWS_* variables or the role.")
    s3_access_key_id_file: Path | None = setting(None, "File that holds the access key.", existing_file=True)
    s3_secret_access_key: Secret | None = setting(None, "Secret key.")
    s3_secret_access_key_file: Path | None = setting(None, "File that holds the secret key.", existing_file=True)
    s3_session_token: Secret | None = setting(None, "Session token of temporary keys.")
    s3_session_token_file: Path | None = setting(None, "File that holds the session token.", existing_file=True)

    @property
    def kind(self) -> ArtifactKind:
        scheme = urlparse(self.destination).scheme
        kinds = {
            **dict.fromkeys(("", "file"), ArtifactKind.LOCAL),
            **dict.fromkeys(("s3", "s3a"), ArtifactKind.S3),
            "gs": ArtifactKind.GCS,
            **dict.fromkeys(("wasb", "wasbs", "abfs", "abfss"), ArtifactKind.AZURE),
        }
        return kinds.get(scheme, ArtifactKind.OTHER)

    @property
    def root(self) -> str:
        """The artifact root for new experiments, as mlflow/utils/server_cli_utils.py resolves it."""
        if self.default_root is not None:
            return self.default_root
        return "mlflow-artifacts:/" if self.serve else self.destination_for_stock()

    @property
    def s3_path_style(self) -> bool:
        """Whether the bucket stands in the path of S3 requests."""
        if self.s3_addressing_style is AddressingStyle.AUTO:
            return self.s3_endpoint is not None
        return self.s3_addressing_style is AddressingStyle.PATH

    def local_path(self) -> Path:
        """The folder of the artifacts, absolute. Raises ValueError unless kind is local."""
        if self.kind is not ArtifactKind.LOCAL:
            raise ValueError("artifacts are not on this machine's disk")
        if self.destination.startswith("file:"):
            return Path(unquote(urlparse(self.destination).path)).absolute()
        return Path(self.destination).absolute()

    def destination_for_stock(self) -> str:
        """The destination for stock MLflow's --artifacts-destination; a path is made absolute."""
        return str(self.local_path()) if self.kind is ArtifactKind.LOCAL else self.destination

    def environment_for_stock(self) -> dict[str, str]:
        """The S3 settings as the variables that stock MLflow (boto3) reads; secret values inside."""
        style = "path" if self.s3_path_style else str(self.s3_addressing_style)
        values: dict[str, str | None] = {
            "MLFLOW_S3_ENDPOINT_URL": self.s3_endpoint,
            "AWS_DEFAULT_REGION": self.s3_region,
            "AWS_CA_BUNDLE": None if self.s3_ca_file is None else str(self.s3_ca_file.absolute()),
            "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE": style if self.kind is ArtifactKind.S3 else None,
            "AWS_ACCESS_KEY_ID": _revealed(self.s3_access_key_id),
            "AWS_SECRET_ACCESS_KEY": _revealed(self.s3_secret_access_key),
            "AWS_SESSION_TOKEN": _revealed(self.s3_session_token),
        }
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """What one request may cost."""

    max_json_body: int = setting(
        64 * 1024 * 1024, "Largest JSON body; artifacts have no limit.", minimum=1024, maximum=2**31, unit="bytes"
    )
    max_header: int = setting(
        64 * 1024, "Largest request line with all headers.", minimum=4096, maximum=2**20, unit="bytes"
    )
    body_timeout: float = setting(
        60.0, "How long a body may stall before the request is answered 408.", minimum=1, maximum=3600, unit="seconds"
    )
    header_timeout: float = setting(
        30.0, "How long a client may take to send its headers.", minimum=1, maximum=3600, unit="seconds"
    )
    max_concurrent: int = setting(
        1000, "Requests that each worker handles at a time; more are answered 503.", minimum=1, maximum=100_000
    )


@dataclass(frozen=True, slots=True)
class LoggingSettings:
    """What is logged, on standard error."""

    level: LogLevel = setting(LogLevel.INFO, "Least level that is logged.")
    format: LogFormat = setting(LogFormat.PLAIN, "Lines for people, or one JSON object a line.")
    access: bool = setting(True, "Log every request.")


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration, frozen; it can be pickled to a worker process and its repr shows no secret."""

    server: ServerSettings = field(default_factory=ServerSettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    artifacts: ArtifactSettings = field(default_factory=ArtifactSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    logging: LoggingSettings = field(default_factory=LoggingSettings)
    stock: StockSettings = field(default_factory=StockSettings)
    gc: GcSettings = field(default_factory=GcSettings)


def _revealed(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()
