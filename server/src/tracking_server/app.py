"""``build_app(config)`` makes the ASGI application of one worker process; nothing happens at import."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os

from tracking_server.access_log import AccessLog
from tracking_server.artifacts.destination import open_destination
from tracking_server.artifacts.health import StorageHealth
from tracking_server.config import Config, DatabaseKind
from tracking_server.door.chain import Door
from tracking_server.door.exchange import Receive, Scope, Send
from tracking_server.door.gate import NativeGate
from tracking_server.door.match import Matcher
from tracking_server.door.table import TABLE
from tracking_server.errors import MlflowError
from tracking_server.metrics import RequestMetrics
from tracking_server.services import Services
from tracking_server.store.absent import AbsentDatabase
from tracking_server.store.connect import open_database
from tracking_server.store.database import CannotOpen, StoreError
from tracking_server.store.new_runs import NewRuns
from tracking_server.store.run_log import RunLog
from tracking_server.store.schema import probe
from tracking_server.ui_files import UiFiles
from tracking_server.upstream.forward import Forwarder

_logger = logging.getLogger(__name__)
_RETRY_SECONDS = 1.0
_PATIENCE_SECONDS = 3.0
_METRICS_SECONDS = 2.0


class Application:
    """The door with what opens and closes behind it (ASGI's lifespan)."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._gate = NativeGate(config, os.environ)
        self._forwarder = Forwarder(config.stock)
        absent = AbsentDatabase()
        # What is set for stock MLflow alone, such as its storage keys, holds for both.
        artifacts = open_destination(config.artifacts, {**os.environ, **config.stock.environment.reveal()})
        self._services = Services(
            config,
            absent,
            NewRuns(absent),
            RunLog(absent),
            artifacts,
            StorageHealth(artifacts),
            UiFiles.of_installed_mlflow(),
            self._forwarder,
            RequestMetrics(config.stock.socket_directory),
        )
        access_log = AccessLog(config.logging)
        self._door = Door(config, Matcher(TABLE), self._services, self._gate.forward_reason, access_log)
        self._opening: asyncio.Task[None] | None = None
        self._writing_metrics: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._door(scope, receive, send)
            return
        await receive()
        await self.open()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def open(self) -> None:
        """Opens the database; if it is away, returns all the same, and it is tried on while 503 is answered."""
        self._writing_metrics = asyncio.create_task(self._keep_writing_metrics())
        if self._config.database.kind is DatabaseKind.OTHER:
            return
        self._opening = asyncio.create_task(self._keep_opening())
        await asyncio.wait((self._opening,), timeout=_PATIENCE_SECONDS)
        if self._opening.done():
            self._opening.result()

    async def close(self) -> None:
        """Closes what is open; requests have ended by then."""
        for task in (self._opening, self._writing_metrics):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self._write_metrics()
        await self._services.new_runs.close()
        await self._services.run_log.close()
        await self._services.database.close()
        await self._forwarder.close()

    async def _keep_writing_metrics(self) -> None:
        while True:
            await asyncio.sleep(_METRICS_SECONDS)
            self._write_metrics()

    def _write_metrics(self) -> None:
        try:
            self._services.metrics.write()
        except OSError as error:
            _logger.warning("the counts of requests cannot be written: %s", error)

    async def _keep_opening(self) -> None:
        told = False
        while (problem := await self._open_database()) is not None:
            if not told:
                _logger.warning("requests that need the database are answered 503: %s", problem)
                told = True
            await asyncio.sleep(_RETRY_SECONDS)
        if told:
            _logger.info("the database is open")

    async def _open_database(self) -> str | None:
        """Opens the database for all requests; returns why not, where it cannot be served yet."""
        try:
            database = await open_database(self._config.database)
        except CannotOpen as error:
            return str(error)
        try:
            schema = await probe(database)
        except (MlflowError, StoreError) as error:
            await database.close()
            return str(error)
        if not schema.servable:
            # The supervisor makes the tables of an empty one, and ends the server over any other.
            await database.close()
            return schema.explain()
        self._services = dataclasses.replace(
            self._services, database=database, new_runs=NewRuns(database), run_log=RunLog(database)
        )
        self._door.services = self._services
        self._gate.schema = schema
        return None


def build_app(config: Config) -> Application:
    """The application for ``config``; it opens the database when ASGI's lifespan starts."""
    return Application(config)
