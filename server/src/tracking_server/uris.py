"""Artifact locations as MLflow writes them (mlflow/utils/uri.py ``append_to_uri_path``)."""

from __future__ import annotations

import posixpath
from pathlib import Path

from tracking_server.errors import ForwardRequest

_UNUSUAL = frozenset("?#;%")


def append_path(uri: str, *parts: str) -> str:
    """``uri`` with ``parts`` joined to its path.

    Raises ForwardRequest for a URI with a query, a fragment, parameters or escapes, which MLflow rewrites.
    """
    scheme = uri.partition(":")[0]
    if not _UNUSUAL.isdisjoint(uri) or (":" in uri and not scheme.islower()):
        raise ForwardRequest("artifact-location")
    return posixpath.join(uri, *parts)


def absolute_root(root: str) -> str:
    """The root of new experiments' artifacts; a relative path is made absolute as stock does."""
    if ":" in root or root.startswith("/"):
        return root
    return Path.cwd().joinpath(root).as_posix()
