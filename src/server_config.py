"""The server's configuration: frozen settings in, files out. Knows nothing of Juju."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import jinja2

DIRECTORY = "/etc/tracking-server"
CONFIG_FILE = f"{DIRECTORY}/tracking-server.toml"
DATABASE_CA_FILE = f"{DIRECTORY}/database-ca.pem"
OBJECT_STORE_CA_FILE = f"{DIRECTORY}/object-store-ca.pem"
AUTHORITIES_FILE = f"{DIRECTORY}/authorities.pem"
CERTIFICATE_FILE = f"{DIRECTORY}/certificate.pem"
KEY_FILE = f"{DIRECTORY}/key.pem"
ALL_FILES = (
    CONFIG_FILE,
    DATABASE_CA_FILE,
    OBJECT_STORE_CA_FILE,
    AUTHORITIES_FILE,
    CERTIFICATE_FILE,
    KEY_FILE,
)
"""Every file that ``render`` may name; one that it does not name is to be removed."""

PORT = 5000
SHUTDOWN_GRACE_SECONDS = 20
EMBEDDED_DATABASE = "/data/mlflow.db"
EMBEDDED_DATABASE_URI = f"sqlite:///{EMBEDDED_DATABASE}"
EMBEDDED_ARTIFACTS = "/data/artifacts"

_TEMPLATES = Path(__file__).parents[1] / "templates"
_SECRET_KEYS = frozenset(("password", "s3_access_key_id", "s3_secret_access_key", "s3_session_token"))
_URI_PASSWORD = re.compile(r"(?<=://)([^:/@\"]*):[^@\"]*(?=@)")
MASK = "*****"


@dataclass(frozen=True)
class File:
    """The content of a file, and its permissions."""

    content: str = field(repr=False)
    mode: int = 0o600


@dataclass(frozen=True)
class DatabaseSettings:
    """Where MLflow's tables are. ``uri`` holds the password; ``ca`` is PEM, and verifies who answers."""

    uri: str = field(repr=False)
    tls: bool = False
    ca: str | None = None
    connections: int = 10
    statement_timeout: int = 60

    @property
    def tls_mode(self) -> str | None:
        """The word of libpq's sslmode; None leaves it to the server."""
        if not self.tls:
            return None
        return "verify-full" if self.ca else "require"


@dataclass(frozen=True)
class ArtifactSettings:
    """Where artifacts are, and how clients reach them."""

    destination: str
    serve: bool = True
    presigned: bool = False
    endpoint: str | None = None
    region: str | None = None
    ca: str | None = None
    addressing_style: str = "auto"
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class TlsSettings:
    """PEM of the certificate with its chain, and of its key."""

    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """All that the configuration says. ``authorities``: PEM of all to trust, the well-known ones among them."""

    database: DatabaseSettings
    artifacts: ArtifactSettings
    allowed_hosts: tuple[str, ...]
    tls: TlsSettings | None = None
    authorities: str | None = None
    workers: int = 2
    cors_allowed_origins: tuple[str, ...] = ()
    log_level: str = "info"
    max_json_body: int = 67_108_864
    max_concurrent: int = 1000
    gc_older_than: str = "30d"
    gc_schedule: str = ""
    stock_arguments: tuple[str, ...] = ()
    stock_environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    stock_jobs: str = "auto"

    @property
    def object_store_ca_file(self) -> str | None:
        """The store's own authorities, else all that are trusted: for S3's clients a file replaces the well-known."""
        if self.artifacts.ca:
            return OBJECT_STORE_CA_FILE
        return AUTHORITIES_FILE if self.authorities and self.artifacts.access_key else None

    @property
    def whole_stock_environment(self) -> dict[str, str]:
        """The operator's variables, over those by which Python's libraries find the authorities."""
        trust = dict.fromkeys(("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), AUTHORITIES_FILE) if self.authorities else {}
        return {**trust, **self.stock_environment}


def render(settings: ServerSettings) -> dict[str, File]:
    """The files of the configuration by their absolute paths; what holds no secret may be read by others."""
    files = {
        CONFIG_FILE: File(_template().render(settings=settings, paths=_PATHS, port=PORT, grace=SHUTDOWN_GRACE_SECONDS))
    }
    if settings.database.ca:
        files[DATABASE_CA_FILE] = File(settings.database.ca, 0o644)
    if settings.artifacts.ca:
        files[OBJECT_STORE_CA_FILE] = File(settings.artifacts.ca, 0o644)
    if settings.authorities:
        files[AUTHORITIES_FILE] = File(settings.authorities, 0o644)
    if settings.tls:
        files[CERTIFICATE_FILE] = File(settings.tls.certificate, 0o644)
        files[KEY_FILE] = File(settings.tls.key)
    return files


def digest(files: Mapping[str, File]) -> str:
    """One text for the content of all files, equal for equal ones."""
    content = json.dumps({path: file.content for path, file in files.items()}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def masked(text: str) -> str:
    """A rendered configuration for eyes: without passwords, keys and the values of variables."""
    lines, section = [], ""
    for line in text.splitlines():
        key, equals, _ = line.partition(" = ")
        if line.startswith("["):
            section = line
        if equals and (key in _SECRET_KEYS or section == "[stock.environment]"):
            line = f'{key} = "{MASK}"'
        lines.append(_URI_PASSWORD.sub(rf"\1:{MASK}", line) if key == "uri" else line)
    return "\n".join(lines) + "\n"


def toml(value: str | int | bool | tuple[str, ...]) -> str:
    """A value as TOML writes it. A text is a basic string, which escapes as JSON does, and DEL besides."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, tuple):
        return f"[{', '.join(toml(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


_PATHS = {"database_ca": DATABASE_CA_FILE, "certificate": CERTIFICATE_FILE, "key": KEY_FILE}


@lru_cache(1)
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # TOML, where HTML's escapes would change the values; `toml` quotes each.
        autoescape=False,  # noqa: S701
    )
    environment.filters["toml"] = toml
    return environment.get_template("tracking-server.toml.j2")
