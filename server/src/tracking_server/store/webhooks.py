"""Webhooks: stock tells them of writes to the registry (mlflow/webhooks/delivery.py), and nobody else can."""

from __future__ import annotations

from tracking_server.errors import ForwardRequest
from tracking_server.store.database import Connection
from tracking_server.store.queries import QueryFile

_QUERIES = QueryFile("webhooks")


async def forward_if_any(connection: Connection) -> None:
    """Raises ForwardRequest while any webhook is active, so that stock makes the change and delivers it."""
    if await connection.fetch_one(_QUERIES["any_active_webhook"]) is not None:
        raise ForwardRequest("webhooks")
