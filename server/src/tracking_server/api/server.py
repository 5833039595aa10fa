"""What the server says about itself: alive, ready, version."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from importlib import metadata

import msgspec

from tracking_server import __version__
from tracking_server.errors import MlflowError
from tracking_server.metrics import exposition
from tracking_server.services import Services
from tracking_server.store.queries import Query
from tracking_server.upstream.forward import StockState
from tracking_server.web import Answer, Request, Response, text_response

_PING = Query.build("ping", "SELECT 1")
_MLFLOW_VERSION = metadata.version("mlflow")


async def health(request: Request, services: Services) -> Answer:
    """Alive: this process answers. Says nothing of the database."""
    return text_response("OK", content_type=b"text/plain; charset=utf-8")


async def version(request: Request, services: Services) -> Answer:
    """The version of MLflow whose API is served."""
    return text_response(_MLFLOW_VERSION)


async def ready(request: Request, services: Services) -> Answer:
    """200 when the database answers and stock MLflow is not restarting, else 503; JSON with the state of each.

    Without its object store the server still tracks, so that one's state is told and does not count. ``forwarded``
    counts the requests that stock MLflow answered, by the reason why.
    """
    database, object_store, stock = await asyncio.gather(
        _database_state(services), services.storage_health.state(), services.forwarder.state()
    )
    forwarded: Counter[str] = Counter()
    for reasons in services.metrics.of_all_workers().forwarded.values():
        forwarded.update(reasons)
    is_ready = database["state"] == "ready" and stock is not StockState.RESTARTING
    state = {
        "ready": is_ready,
        "version": {"server": __version__, "mlflow": _MLFLOW_VERSION},
        "database": database,
        "object_store": object_store,
        "stock": {"state": str(stock)},
        "forwarded": forwarded,
    }
    return Response(200 if is_ready else 503, msgspec.json.encode(state))


async def metrics(request: Request, services: Services) -> Answer:
    """All workers' counts in Prometheus's text format."""
    text = exposition(services.metrics.of_all_workers())
    return text_response(text, content_type=b"text/plain; version=0.0.4; charset=utf-8")


async def _database_state(services: Services) -> dict[str, object]:
    began = time.perf_counter()
    try:
        await services.database.fetch_one(_PING)
    except MlflowError as error:
        return {"state": "unavailable", "reason": error.message}
    return {"state": "ready", "milliseconds": round((time.perf_counter() - began) * 1000, 1)}
