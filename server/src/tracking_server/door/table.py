"""THE route table: every operation that stock MLflow serves with its default app, and who answers it here.

A path that no row names is 404 and never forwarded, so what stock adds next month is closed until it has a row.
Rows stand in ``routes/``, one module per family; to answer one natively, give the row a ``handler``. What this
server has of its own stands below ``/-/`` and nowhere else.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable

from tracking_server.door.route import Policy, Route, Stack
from tracking_server.door.routes import (
    artifacts,
    assistant,
    datasets,
    experiments,
    gateway,
    gateway_admin,
    issues,
    jobs,
    logged_models,
    mcp,
    metrics,
    own,
    prompts,
    registry,
    reviews,
    runs,
    scorers,
    server,
    traces,
    ui,
    webhooks,
    workspaces,
)


class TableError(ValueError):
    """The table contradicts itself; raised at import, so that no process starts with it."""


def checked(routes: Iterable[Route]) -> tuple[Route, ...]:
    """The rows as a tuple. Raises TableError for a label or a method+path that stands twice, or a malformed row."""
    rows = tuple(routes)
    labels: set[str] = set()
    operations: dict[tuple[str, str], str] = {}
    for row in rows:
        _check_shape(row)
        if row.label in labels:
            raise TableError(f"two rows are labelled {row.label}")
        labels.add(row.label)
        for method in row.methods:
            for path in row.paths:
                other = operations.setdefault((method, path), row.label)
                if other != row.label:
                    raise TableError(f"{method} {path} stands in the rows {other} and {row.label}")
    return rows


def _check_shape(row: Route) -> None:
    if not row.label or not row.methods or not row.paths:
        raise TableError(f"a row needs a label, a method and a path: {row}")
    if len(set(row.methods)) < len(row.methods) or len(set(row.paths)) < len(row.paths):
        raise TableError(f"{row.label} names a method or a path twice")
    if {"HEAD", "OPTIONS"}.intersection(row.methods) or any(method != method.upper() for method in row.methods):
        raise TableError(f"{row.label}: methods are upper case; HEAD and OPTIONS follow from the others")
    if not all(path.startswith("/") for path in row.paths):
        raise TableError(f"{row.label}: a path starts with a slash")
    if not isinstance(row.policy, Policy) or not isinstance(row.stack, Stack):
        raise TableError(f"{row.label} has no policy or no stack")
    own = row.stack is Stack.OWN
    if any(path.startswith("/-/") is not own for path in row.paths):
        raise TableError(f"{row.label}: our own rows, and no others, stand below /-/")
    if own and row.handler is None:
        raise TableError(f"{row.label}: stock cannot answer our own rows, they need a handler")
    if row.handler is not None and not inspect.iscoroutinefunction(row.handler):
        raise TableError(f"{row.label}: its handler is not an async function")


TABLE: tuple[Route, ...] = checked(
    row
    for family in (
        own,
        server,
        experiments,
        runs,
        metrics,
        logged_models,
        registry,
        artifacts,
        traces,
        datasets,
        scorers,
        issues,
        reviews,
        prompts,
        webhooks,
        workspaces,
        jobs,
        gateway,
        gateway_admin,
        assistant,
        mcp,
        ui,
    )
    for row in family.ROUTES
)
