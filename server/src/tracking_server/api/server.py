"""What the server says about itself: alive, ready, version."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from importlib import metadata

import msgspec

from tracking_server import __version__, gc_metrics
from tracking_server.artifacts.s3 import S3BucketStore
from tracking_server.errors import ForwardRequest, MlflowError
from tracking_server.metrics import exposition
from tracking_server.services import Services
from tracking_server.store.queries import Query
from tracking_server.upstream.forward import StockState
from tracking_server.web import Answer, Request, Response, text_response

_PING = Query.build("ping", "SELECT 1")
_MLFLOW_VERSION = metadata.version("mlflow")
_GATEWAY_SWITCH = "MLFLOW_ENABLE_AI_GATEWAY"


async def health(request: Request, services: Services) -> Answer:
    """Alive: this process answers. Says nothing of the database."""
    return text_response("OK", content_type=b"text/plain; charset=utf-8")


async def version(request: Request, services: Services) -> Answer:
    """The version of MLflow whose API is served."""
    return text_response(_MLFLOW_VERSION)


async def info(request: Request, services: Services) -> Answer:
    """What clients and the UI ask first: which optional parts of MLflow's API there are.

    Follows build_server_info_payload in mlflow/server/handlers.py; under the options that switch workspaces or trace
    archival on, the whole server forwards. Unlike stock, it promises multipart transfers only where we make them.
    """
    if _GATEWAY_SWITCH in os.environ or _GATEWAY_SWITCH in services.config.stock.environment.reveal():
        raise ForwardRequest("stock-option")
    artifacts = services.artifacts
    multipart = artifacts.served and artifacts.presigned_seconds is not None
    multipart = multipart and isinstance(artifacts.store, S3BucketStore)
    answer = {
        "store_type": "SqlStore",
        "workspaces_enabled": False,
        "trace_archival_enabled": False,
        "multipart_uploads_enabled": multipart,
        "multipart_downloads_enabled": multipart,
        "presigned_upload_run_id_supported": True,
        "presigned_upload_model_id_supported": True,
        "features_enabled": {"gateway": True},
    }
    return Response(200, msgspec.json.encode(answer))


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
    text += gc_metrics.exposition(services.config.stock.socket_directory)
    return text_response(text, content_type=b"text/plain; version=0.0.4; charset=utf-8")


async def _database_state(services: Services) -> dict[str, object]:
    began = time.perf_counter()
    try:
        await services.database.fetch_one(_PING)
    except MlflowError as error:
        return {"state": "unavailable", "reason": error.message}
    return {"state": "ready", "milliseconds": round((time.perf_counter() - began) * 1000, 1)}
