"""What the server says about itself: alive, ready, version."""

from __future__ import annotations

import asyncio
import time
from importlib import metadata

import msgspec

from tracking_server import __version__
from tracking_server.errors import MlflowError
from tracking_server.services import Services
from tracking_server.store.queries import Query
from tracking_server.upstream.forward import StockState
from tracking_server.web import Answer, Request, Response, text_response

_PING = Query.build("ping", "SELECT 1")
_MLFLOW_VERSION = metadata.version("mlflow")


async def health(request: Request, services: Services) -> Answer:
    """Alive: this process answers. Says nothing of the database."""
    return text_response("OK")


async def version(request: Request, services: Services) -> Answer:
    """The version of MLflow whose API is served."""
    return text_response(_MLFLOW_VERSION)


async def ready(request: Request, services: Services) -> Answer:
    """200 when the database answers and stock MLflow is not restarting, else 503; JSON with the state of each."""
    database, stock = await asyncio.gather(_database_state(services), services.forwarder.state())
    is_ready = database["state"] == "ready" and stock is not StockState.RESTARTING
    state = {
        "ready": is_ready,
        "version": {"server": __version__, "mlflow": _MLFLOW_VERSION},
        "database": database,
        "stock": {"state": str(stock)},
    }
    return Response(200 if is_ready else 503, msgspec.json.encode(state))


async def _database_state(services: Services) -> dict[str, object]:
    began = time.perf_counter()
    try:
        await services.database.fetch_one(_PING)
    except MlflowError as error:
        return {"state": "unavailable", "reason": error.message}
    return {"state": "ready", "milliseconds": round((time.perf_counter() - began) * 1000, 1)}
