"""What a charm says about itself in its YAML files, and its files as they would be packed."""

from __future__ import annotations

import compileall
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_PACKED = ("metadata.yaml", "charmcraft.yaml", "config.yaml", "actions.yaml", "src", "lib", "templates")


@dataclass(frozen=True)
class Option:
    type: str
    default: str | int | float | bool | None = None


@dataclass(frozen=True)
class Container:
    """A workload container: the user that its Pebble runs as, and where its storages are mounted."""

    uid: int = 0
    gid: int = 0
    mounts: Mapping[str, str] = field(default_factory=dict)
    """Storage → path in the container."""


@dataclass(frozen=True)
class CharmFiles:
    """A charm, read from a folder with metadata.yaml (or a charmcraft.yaml that holds the same keys)."""

    folder: Path
    name: str
    endpoints: Mapping[str, str]
    """Endpoint → interface."""
    peers: frozenset[str]
    limits: Mapping[str, int]
    containers: Mapping[str, Container]
    storage: tuple[str, ...]
    options: Mapping[str, Option]
    actions: Mapping[str, Mapping[str, Any]]
    user: str
    """charm-user: root, sudoer or non-root."""

    @classmethod
    def read(cls, folder: Path) -> CharmFiles:
        """Reads the charm's files. Raises FileNotFoundError where there is no metadata."""
        metadata = _yaml(folder / "charmcraft.yaml") | _yaml(folder / "metadata.yaml")
        if "name" not in metadata:
            raise FileNotFoundError(f"{folder} holds no charm")
        options = (_yaml(folder / "config.yaml") or metadata.get("config") or {}).get("options") or {}
        sides = {role: metadata.get(role) or {} for role in ("requires", "provides", "peers")}
        endpoints = {name: side for group in sides.values() for name, side in group.items()}
        return cls(
            folder=folder,
            name=metadata["name"],
            endpoints={name: side["interface"] for name, side in endpoints.items()},
            peers=frozenset(sides["peers"]),
            limits={name: side["limit"] for name, side in endpoints.items() if "limit" in side},
            containers={name: _container(values or {}) for name, values in (metadata.get("containers") or {}).items()},
            storage=tuple(metadata.get("storage") or ()),
            options={name: Option(values["type"], values.get("default")) for name, values in options.items()},
            actions=_yaml(folder / "actions.yaml") or metadata.get("actions") or {},
            user=metadata.get("charm-user", "root"),
        )

    def pack(self, target: Path, lib: Path | None = None) -> CharmFiles:
        """Copies what a packed charm holds to ``target``, compiled, and reads it from there.

        ``lib`` are libraries of other charms, as `charmcraft fetch-lib` brings them.
        """
        target.mkdir(parents=True)
        for name in _PACKED:
            source = self.folder / name
            if source.is_dir():
                shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copyfile(source, target / name)
        if lib is not None:
            shutil.copytree(lib, target / "lib", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        compileall.compile_dir(target, quiet=2)
        return CharmFiles.read(target)


def _container(values: Mapping[str, Any]) -> Container:
    mounts = {mount["storage"]: mount["location"] for mount in values.get("mounts") or ()}
    return Container(values.get("uid", 0), values.get("gid", 0), mounts)


def _yaml(path: Path) -> dict[str, Any]:
    return (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}
