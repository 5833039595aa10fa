"""A bucket of an S3-compatible store, as a frozen value, and what its parts may look like."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

AddressingStyle = Literal["auto", "path", "virtual"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}", re.ASCII)
# What AWS calls safe, and what a URI keeps as it is.
_SEGMENT = re.compile(r"[A-Za-z0-9!_.*'()=+@,:~$&-]+", re.ASCII)
_REGION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)


@dataclass(frozen=True)
class Bucket:
    """Where artifacts are stored.

    ``identity`` names this bucket among all that were ever integrated. ``path`` has no slash at its ends, ``endpoint``
    is None for AWS, ``ca_chain`` is PEM.
    """

    identity: str
    name: str
    path: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    endpoint: str | None = None
    region: str | None = None
    ca_chain: str | None = None
    addressing_style: AddressingStyle = "auto"

    @property
    def destination(self) -> str:
        """The bucket and the path as MLflow writes them."""
        return f"s3://{self.name}/{self.path}".rstrip("/")


def is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def is_path(text: str) -> bool:
    """Whether a path without slashes at its ends stays the same in a URI."""
    return not text or all(_SEGMENT.fullmatch(part) and part not in (".", "..") for part in text.split("/"))


def is_region(text: str) -> bool:
    return _REGION.fullmatch(text) is not None


def is_endpoint(text: str) -> bool:
    """Whether a text is the URL of a server, without a login inside."""
    try:
        parts = urlsplit(text)
        written = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    plain = text.isascii() and text.isprintable() and " " not in text
    return plain and written and parts.scheme in ("http", "https") and "@" not in parts.netloc and not parts.query
