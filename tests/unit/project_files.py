"""The project's own files, as the tests of packaging and documentation read them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]


def load(name: str) -> dict[str, Any]:
    """Returns a YAML file of the project."""
    content = yaml.safe_load((ROOT / name).read_text())
    assert isinstance(content, dict), f"{name} is no mapping"
    return content


def endpoints() -> dict[str, dict[str, Any]]:
    """Returns the charm's endpoints of all roles, by name."""
    metadata = load("metadata.yaml")
    return {**metadata["requires"], **metadata["provides"], **metadata["peers"]}


def requirement_names(name: str) -> set[str]:
    """Returns the packages that a requirements file pins."""
    return set(re.findall(r"^([a-z0-9-]+)==", (ROOT / name).read_text(), re.MULTILINE))


def make_targets() -> set[str]:
    """Returns the names that `make` takes."""
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
