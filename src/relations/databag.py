"""What every relation shares: finding it, reading what the other side wrote, writing only what changed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

import ops

# A secret's id goes to a hook tool as an argument, so nothing in it may read as an option.
_SECRET_ID = re.compile(r"(?:secret:(?://[\w-]+/)?)?[A-Za-z0-9][\w-]*", re.ASCII)


@dataclass(frozen=True)
class Problem:
    """Why a relation gives nothing. ``waiting``: the other side has yet to speak, so nobody needs to act."""

    text: str
    waiting: bool = False


def single(charm: ops.CharmBase, endpoint: str) -> ops.Relation | None:
    """The oldest relation of an endpoint; one that is being removed does not count."""
    return min(charm.model.relations[endpoint], key=lambda relation: relation.id, default=None)


def remote(relation: ops.Relation) -> Mapping[str, str]:
    """The other application's databag; empty while it cannot be read."""
    if relation.app is None:
        return {}
    try:
        return dict(relation.data[relation.app])
    except ops.ModelError:
        return {}


def remote_units(relation: ops.Relation) -> Mapping[str, Mapping[str, str]]:
    """The databags of the other application's units, by unit name and in its order."""
    found: dict[str, Mapping[str, str]] = {}
    # Not relation.units: the library inside of ops.tracing takes units out of that set.
    units = [each for each in relation.data if isinstance(each, ops.Unit) and each.app == relation.app]
    for unit in sorted(units, key=lambda unit: unit.name):
        try:
            found[unit.name] = dict(relation.data[unit])
        except ops.ModelError:
            continue
    return found


def remote_name(relation: ops.Relation) -> str:
    """How messages call the other application."""
    return relation.app.name if relation.app is not None else f"the other side of {relation.name}"


def secret(charm: ops.CharmBase, relation: ops.Relation, secret_id: str, purpose: str) -> Mapping[str, str] | None:
    """The newest content of a secret that the other side handed out; None where it cannot be read.

    The label makes Juju tell of the next revision, and reading the newest one makes that hook use it.
    """
    if _SECRET_ID.fullmatch(secret_id) is None:
        return None
    label = f"{relation.name}-{relation.id}-{purpose}"
    try:
        return charm.model.get_secret(id=secret_id, label=label).get_content(refresh=True)
    except ops.ModelError:
        return None


def decoded(text: str) -> object:
    """The value of a JSON text; None where it is not one."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value


def encoded(value: object) -> str:
    """JSON that is equal for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def write(databag: MutableMapping[str, str], contents: Mapping[str, str]) -> bool:
    """Writes the keys of ``contents`` that differ; an empty value removes its key, other keys stay.

    Returns whether anything was written. The databag must be readable: an application's is so for its leader only.
    """
    differing = {name: value for name, value in contents.items() if databag.get(name, "") != value}
    if differing:
        databag.update(differing)
    return bool(differing)


def write_for_application(charm: ops.CharmBase, relation: ops.Relation, contents: Mapping[str, str]) -> bool:
    """Like ``write``, into this application's databag, where this unit is the leader."""
    return charm.unit.is_leader() and write(relation.data[charm.app], contents)
