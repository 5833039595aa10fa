"""The UI's files in the installed mlflow package, compressed once per process and kept in memory.

Compressed, all of them take 7 MiB. MLflow itself is not imported for it.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import importlib.util
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path

_BUILD = Path("server", "js", "build")
_HASHED_NAME = re.compile(r"\.[0-9a-f]{8,}\.")
_COMPRESSIBLE = re.compile(
    r"text/.*|application/(json|javascript|vnd\.ms-fontobject)|image/(svg\+xml|x-icon|vnd.*)|font/ttf"
)
_COMPRESSION_LEVEL = 6


@dataclass(frozen=True, slots=True)
class UiFile:
    """A file as it is sent. ``etag`` is unquoted and names the uncompressed content.

    ``hashed`` says that the name changes with the content, so that it may be kept for ever.
    """

    content_type: str
    hashed: bool
    etag: str
    plain: bytes | None
    zipped: bytes | None
    path: Path

    async def body(self, *, zipped: bool) -> bytes:
        """The content, as gzip if ``zipped`` (only where there is such a body)."""
        if zipped and self.zipped is not None:
            return self.zipped
        return self.plain if self.plain is not None else await asyncio.to_thread(self.path.read_bytes)


class UiFiles:
    """The files below ``directory`` as it is now, by their path in it. Nothing else can be asked for."""

    def __init__(self, directory: Path | None) -> None:
        found = [] if directory is None else [path for path in directory.rglob("*") if path.is_file()]
        self._paths = {str(path.relative_to(directory or path)): path for path in found}
        self._loading: dict[str, asyncio.Task[UiFile]] = {}

    @classmethod
    def of_installed_mlflow(cls) -> UiFiles:
        """The files of the mlflow package of this environment; none if it has no UI."""
        package = importlib.util.find_spec("mlflow")
        places = [] if package is None else [Path(place, _BUILD) for place in package.submodule_search_locations or ()]
        return cls(next((place for place in places if (place / "index.html").is_file()), None))

    def __bool__(self) -> bool:
        return bool(self._paths)

    async def get(self, name: str) -> UiFile | None:
        """The file ``name``; None if there is none such. Simultaneous first requests compress it once."""
        path = self._paths.get(name)
        if path is None:
            return None
        loading = self._loading.get(name)
        if loading is None:
            loading = self._loading[name] = asyncio.ensure_future(asyncio.to_thread(_load, path))
        try:
            return await asyncio.shield(loading)
        except OSError:
            self._loading.pop(name, None)
            raise


def _load(path: Path) -> UiFile:
    content = path.read_bytes()
    content_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    zipped = None
    if _COMPRESSIBLE.fullmatch(content_type):
        # No time stamp: every worker makes the same bytes.
        zipped = gzip.compress(content, _COMPRESSION_LEVEL, mtime=0)
        if len(zipped) >= len(content):
            zipped = None
    return UiFile(
        content_type=_with_charset(content_type),
        hashed=_HASHED_NAME.search(path.name) is not None,
        etag=hashlib.sha256(content).hexdigest()[:32],
        plain=None if zipped else content,
        zipped=zipped,
        path=path,
    )


def _with_charset(content_type: str) -> str:
    """The type as Werkzeug writes it, on which stock serves these files."""
    if content_type.startswith("text/") or content_type.endswith("+xml"):
        return f"{content_type}; charset=utf-8"
    return content_type
