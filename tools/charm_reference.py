"""Writes the charm's reference page from the files that Juju reads: `make reference`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]

_TITLE = """\
# Reference

<!-- Written by `make reference` from metadata.yaml, config.yaml and actions.yaml; change those instead. -->

What the charm `mlflow-tracking-k8s` takes and offers. The examples call the application `mlflow-tracking`, as
`bundle.yaml` does."""

_OPTIONS = """\
## Options

`juju config mlflow-tracking workers=4` sets one, `juju config mlflow-tracking --reset workers` takes it back. A wrong
value blocks the charm, which names the option and what is allowed; the server goes on with its last good
configuration."""

_ACTIONS = """\
## Actions

`juju run mlflow-tracking/leader check-database` runs one. `--wait=1h` waits longer than a minute, and
`--format=yaml` prints all of the result."""

_ENDPOINTS = """\
## Endpoints

`juju integrate mlflow-tracking:database postgresql` integrates two applications. The charm works without any of
them."""


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _default(value: object) -> str:
    if value is None:
        return "none"
    return "empty" if value == "" else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _options(options: Mapping[str, Any]) -> str:
    return _table(
        ("option", "type", "default", "what it does"),
        (
            (f"`{name}`", option["type"], _default(option.get("default")), _one_line(option["description"]))
            for name, option in options.items()
        ),
    )


def _actions(actions: Mapping[str, Any]) -> Iterator[str]:
    for name, action in actions.items():
        yield f"### {name}"
        yield _one_line(action["description"])
        if parameters := action.get("params"):
            yield _table(
                ("parameter", "type", "default", "what it does"),
                (
                    (f"`{key}`", schema["type"], _default(schema.get("default")), _one_line(schema["description"]))
                    for key, schema in parameters.items()
                ),
            )


def _endpoints(metadata: Mapping[str, Any]) -> str:
    return _table(
        ("endpoint", "role", "interface", "at most", "what for"),
        (
            (
                f"`{name}`",
                role,
                f"`{endpoint['interface']}`",
                str(endpoint.get("limit", "any number")),
                _one_line(endpoint["description"]),
            )
            for role in ("requires", "provides", "peers")
            for name, endpoint in metadata[role].items()
        ),
    )


def _storage_and_resources(metadata: Mapping[str, Any]) -> str:
    storage = (
        (f"`{name}`", "storage", f"at least {one['minimum-size']}", _one_line(one["description"]))
        for name, one in metadata["storage"].items()
    )
    resources = (
        (f"`{name}`", "resource", one["type"], _one_line(one["description"]))
        for name, one in metadata["resources"].items()
    )
    return _table(("name", "what", "kind", "what for"), iter([*storage, *resources]))


def reference(root: Path = ROOT) -> str:
    """Returns the page for the project below `root`."""
    metadata, config, actions = (
        yaml.safe_load((root / name).read_text()) for name in ("metadata.yaml", "config.yaml", "actions.yaml")
    )
    sections = [
        _TITLE,
        _OPTIONS,
        _options(config["options"]),
        _ACTIONS,
        *_actions(actions),
        _ENDPOINTS,
        _endpoints(metadata),
        "## Storage and resources",
        _storage_and_resources(metadata),
    ]
    return "\n\n".join(sections) + "\n"


if __name__ == "__main__":
    print(reference(), end="")
