"""A charm with the real metadata and nothing else, to run one relation's module inside of a state transition."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import ops
import ops.testing
import yaml
from hypothesis import strategies as st

METADATA: dict[str, Any] = yaml.safe_load((Path(__file__).parents[3] / "metadata.yaml").read_text())

Result = TypeVar("Result")


class TinyCharm(ops.CharmBase):
    """Does nothing by itself."""


def context(unit: int = 0) -> ops.testing.Context[TinyCharm]:
    return ops.testing.Context(TinyCharm, meta=METADATA, unit_id=unit)


def transition(
    state: ops.testing.State,
    act: Callable[[ops.CharmBase], Result],
    event: Callable[[ops.testing.CharmEvents], Any] | None = None,
) -> tuple[ops.testing.State, Result]:
    """Runs ``act`` with the charm in one hook. Returns the state after it, and what ``act`` returned."""
    running = context()
    happening = running.on.update_status() if event is None else event(running.on)
    with running(happening, state) as manager:
        result = act(manager.charm)
        return manager.run(), result


def read(state: ops.testing.State, act: Callable[[ops.CharmBase], Result]) -> Result:
    """What ``act`` returns in that state."""
    return transition(state, act)[1]


def app_data(state: ops.testing.State, relation: ops.testing.Relation) -> dict[str, str]:
    """What our application has written into that relation."""
    return _plain(state.get_relation(relation.id).local_app_data)


def unit_data(state: ops.testing.State, relation: ops.testing.Relation) -> dict[str, str]:
    """What our unit has written into that relation, without what Juju itself puts there."""
    own = _plain(state.get_relation(relation.id).local_unit_data)
    return {name: value for name, value in own.items() if name not in _JUJUS_OWN}


_JUJUS_OWN = ("egress-subnets", "ingress-address", "private-address")


def _plain(databag: object) -> dict[str, str]:
    assert isinstance(databag, dict)
    return dict(databag)


TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["[]", "{}", "null", "1", '"', "[" * 3000, "{" * 3000, "\0", "-----BEGIN CERTIFICATE-----", "~"]),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    ).map(json.dumps),
)
"""What a broken charm, or a bad one, may write."""


def hostile(keys: tuple[str, ...]) -> st.SearchStrategy[dict[str, str]]:
    """Databags with some of these keys, and others, and any texts."""
    names = st.sampled_from(keys) | st.text(min_size=1, max_size=10)
    return st.dictionaries(names, TEXTS.filter(bool), max_size=len(keys) + 1)
