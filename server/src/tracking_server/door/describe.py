"""The route table as data, for ``tracking-server doctor`` and whoever documents it."""

from __future__ import annotations

from collections.abc import Iterable

from tracking_server.door.route import Route


def describe(table: Iterable[Route]) -> list[dict[str, str]]:
    """One entry per row, in the table's order: label, methods, paths, resource, action, answered_by."""
    return [
        {
            "label": row.label,
            "methods": " ".join(row.methods),
            "paths": " ".join(row.paths),
            "resource": row.policy.resource.value,
            "action": row.policy.action.value,
            "answered_by": "stock" if row.handler is None else "native",
        }
        for row in table
    ]
