"""Alert rules from files, narrowed down to this application."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from relations.topology import Topology

PLACEHOLDER = "%%juju_topology%%"
"""Stands in the files' expressions for the matchers of the application."""


def load(folder: Path, topology: Topology) -> dict[str, Any]:
    """The groups of all rule files of a folder, as Prometheus and Loki read them."""
    groups = []
    for path in sorted(folder.glob("*.rules.yaml")):
        groups += [_narrowed(group, topology) for group in yaml.safe_load(path.read_text())["groups"]]
    return {"groups": groups}


def _narrowed(group: dict[str, Any], topology: Topology) -> dict[str, Any]:
    # Prometheus's charm keeps rules of all applications in one place and takes this form as already made unique.
    name = re.sub(r"[^A-Za-z0-9_:]", "_", f"{topology.identifier}_{group['name']}_rules")
    labels = {**topology.application_labels, "juju_charm": topology.charm_name}
    rules = [
        {
            **rule,
            "expr": rule["expr"].replace(PLACEHOLDER, topology.matchers),
            "labels": {**rule.get("labels", {}), **labels},
        }
        for rule in group["rules"]
    ]
    return {**group, "name": name, "rules": rules}
