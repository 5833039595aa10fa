"""Artifact paths as clients write them → the one relative path that is acted on; traversal is refused here.

The rules are those of mlflow/utils/uri.py ``validate_path_is_safe``, so that the same name reaches the same file.
"""

from __future__ import annotations

import pathlib
import posixpath
import urllib.parse
import urllib.request

from tracking_server.errors import MlflowError, invalid_parameter

_DECODING_ROUNDS = 10
_LONGEST_PATH = 4096
_ESCAPED_CONTROLS = {code: f"%{code:02x}" for code in (*range(32), 127)}


def safe_path(path: str) -> str:
    """The path decoded until it no longer changes, with control characters escaped.

    Raises INVALID_PARAMETER_VALUE for a path that is absolute (POSIX or Windows), has a ``..`` segment or a ``#``,
    does not stop decoding, is longer than any file system allows, or cannot be written as UTF-8.
    """
    try:
        decoded = _decoded(path).translate(_ESCAPED_CONTROLS)
        if "#" in decoded:
            raise _invalid_path()
        if urllib.parse.urlparse(decoded).scheme == "file":
            decoded = urllib.request.url2pathname(urllib.parse.urlparse(decoded).path)
        length = len(decoded.encode())
    except ValueError:
        raise _invalid_path() from None
    if (
        "\0" in decoded
        or ".." in decoded.split("/")
        or length > _LONGEST_PATH
        or pathlib.PurePosixPath(decoded).is_absolute()
        or pathlib.PureWindowsPath(decoded).is_absolute()
    ):
        raise _invalid_path()
    return decoded


def check_directory(path: str) -> None:
    """Raises INVALID_PARAMETER_VALUE for a directory that a file system would write another way.

    The rule is that of mlflow/store/artifact/artifact_repo.py ``verify_artifact_path``.
    """
    normal = posixpath.normpath(path)
    if path and (normal != path or normal == "." or normal.startswith(("..", "/"))):
        raise invalid_parameter(
            f"Invalid artifact path: '{path}'. Names may be treated as files in certain cases, and must not resolve"
            f" to other names when treated as such. This name would resolve to {normal!r}"
        )


def _decoded(path: str) -> str:
    for _ in range(_DECODING_ROUNDS):
        # Parsing drops an empty query, fragment or parameter, which is how stock names such files.
        decoded = urllib.parse.urlunparse(urllib.parse.urlparse(urllib.parse.unquote(path)))
        if decoded == path:
            return path
        path = decoded
    raise ValueError("the path is encoded too many times")


def _invalid_path() -> MlflowError:
    return invalid_parameter("Invalid path")
