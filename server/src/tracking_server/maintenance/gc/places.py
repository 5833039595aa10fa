"""Where artifacts lie: the artifact location of a run or a model → a store and a path in it."""

from __future__ import annotations

import dataclasses
import posixpath
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tracking_server.artifacts.destination import open_destination
from tracking_server.artifacts.disk import DiskStore
from tracking_server.artifacts.store import ArtifactStore
from tracking_server.config import ArtifactKind, ArtifactSettings
from tracking_server.errors import ForwardRequest

_UNUSUAL = frozenset("?#;%")


@dataclass(frozen=True, slots=True)
class Place:
    """The directory ``path``, never empty, of ``store``; ``storage`` names the disk or the bucket for people."""

    store: ArtifactStore
    path: str
    storage: str


@dataclass(frozen=True, slots=True)
class Foreign:
    """A location that only stock MLflow reaches: ``path`` (None for all of it) of the artifact repository ``uri``."""

    uri: str
    path: str | None


class WholeStorage(Exception):
    """A location that is no directory of its own: to delete it would delete everybody's artifacts."""


class Places:
    """Resolves locations as the server and its clients do; opens each storage once."""

    def __init__(self, settings: ArtifactSettings, environment: Mapping[str, str]) -> None:
        """``environment`` holds the credentials and options that stock MLflow reads there."""
        self._settings = settings
        self._environment = environment
        self._destination = settings.destination_for_stock()
        self._stores: dict[str, ArtifactStore | None] = {}

    def resolve(self, location: str) -> Place | Foreign:
        """Raises WholeStorage for a location without a path of its own."""
        parsed = urllib.parse.urlparse(location)
        if parsed.scheme == "mlflow-artifacts" and not parsed.netloc:
            return self._below_destination(location, parsed.path)
        if parsed.scheme in ("", "file"):
            return self._on_disk(location, parsed)
        if parsed.scheme not in ("s3", "gs", "wasbs") or not _UNUSUAL.isdisjoint(location):
            return Foreign(location, None)
        if not parsed.path.strip("/"):
            raise WholeStorage(location)
        store = self._open(f"{parsed.scheme}://{parsed.netloc}")
        if store is None:
            return Foreign(location, None)
        return _checked(Place(store, parsed.path.strip("/"), f"{parsed.scheme}://{parsed.netloc}"), location)

    def _below_destination(self, location: str, path: str) -> Place | Foreign:
        path = urllib.parse.unquote(path).strip("/")
        if not path or ".." in path.split("/"):
            raise WholeStorage(location)
        below = self.resolve_destination()
        if isinstance(below, Foreign):
            return Foreign(self._destination, path)
        return _checked(Place(below.store, posixpath.join(below.path, path), below.storage), location)

    def resolve_destination(self) -> Place | Foreign:
        """The configured destination; its path may be empty."""
        parsed = urllib.parse.urlparse(self._destination)
        if self._settings.kind is ArtifactKind.LOCAL:
            folder = self._settings.local_path()
            return Place(DiskStore(folder), "", str(folder))
        bucket = f"{parsed.scheme}://{parsed.netloc}"
        store = self._open(bucket)
        if store is None:
            return Foreign(self._destination, None)
        return Place(store, parsed.path.strip("/"), bucket)

    def _on_disk(self, location: str, parsed: urllib.parse.ParseResult) -> Place | Foreign:
        if parsed.netloc or parsed.query or parsed.fragment or parsed.params:
            return Foreign(location, None)
        folder = Path(urllib.parse.unquote(parsed.path) if parsed.scheme else location).absolute()
        if len(folder.parts) < 3 or ".." in folder.parts:
            raise WholeStorage(location)
        return Place(DiskStore(folder.parent), folder.name, str(folder.parent))

    def _open(self, root: str) -> ArtifactStore | None:
        if root not in self._stores:
            settings = dataclasses.replace(self._settings, destination=root)
            destination = open_destination(settings, self._environment)
            self._stores[root] = destination.store if destination.is_native else None
        return self._stores[root]


def _checked(place: Place, location: str) -> Place | Foreign:
    """``place``, or stock's, where the store would write the path another way."""
    key = getattr(place.store, "key", None)
    try:
        if key is not None:
            key(place.path)
    except ForwardRequest:
        return Foreign(location, None)
    return place
