"""Where other charms reach this unit."""

from __future__ import annotations

import ipaddress
import socket

import ops


def address(charm: ops.CharmBase, relation: ops.Relation) -> str | None:
    """The unit's address on the network of a relation; None while Juju knows none."""
    try:
        binding = charm.model.get_binding(relation)
        bound = binding.network.bind_address if binding is not None else None
    except ops.ModelError:
        return None
    return None if bound is None else str(bound)


def name() -> str:
    """The unit's name in the cluster's DNS."""
    return socket.getfqdn()


def is_ipv4(text: str | None) -> bool:
    try:
        ipaddress.IPv4Address(text or "")
    except ValueError:
        return False
    return True
