"""The words that settings choose from."""

from __future__ import annotations

import enum

# The patterns of mlflow/server/security_utils.py; a test compares them with the installed MLflow's.
DEFAULT_ALLOWED_HOSTS = (
    *("localhost", "127.0.0.1", "[::1]", "0.0.0.0"),  # noqa: S104  host names to compare with, nothing is bound to them
    *("localhost:*", "127.0.0.1:*", "[[]::1]:*", "0.0.0.0:*", "192.168.*", "10.*"),
    *(f"172.{second}.*" for second in range(16, 32)),
    *("fc00:*", "fd00:*"),
)


class FrameOptions(enum.StrEnum):
    SAMEORIGIN = "SAMEORIGIN"
    DENY = "DENY"
    NONE = "NONE"


class TlsMode(enum.StrEnum):
    """libpq's sslmode."""

    DISABLE = "disable"
    PREFER = "prefer"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


class AddressingStyle(enum.StrEnum):
    AUTO = "auto"
    PATH = "path"
    VIRTUAL = "virtual"


class LogLevel(enum.StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class LogFormat(enum.StrEnum):
    PLAIN = "plain"
    JSON = "json"


class StockStart(enum.StrEnum):
    EAGER = "eager"
    LAZY = "lazy"


class StockJobs(enum.StrEnum):
    """When stock MLflow runs background jobs; AUTO: from when they are first needed."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class ArtifactKind(enum.StrEnum):
    """Where artifacts live; OTHER is forwarded whole to stock MLflow."""

    LOCAL = "local"
    S3 = "s3"
    GCS = "gcs"
    AZURE = "azure"
    OTHER = "other"
