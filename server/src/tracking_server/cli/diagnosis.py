"""What ``tracking-server doctor`` finds out: each dependency tried as ``serve`` would use it, and who answers what.

Nothing is created or changed, unless stock MLflow is started for a trial, which opens the database as it always does.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import os
import ssl
import time
from dataclasses import dataclass, replace
from importlib import metadata

import aiohttp
from obstore.exceptions import BaseError

from tracking_server import __version__
from tracking_server.artifacts.destination import open_destination
from tracking_server.config import Config, DatabaseKind, StockJobs, StockStart
from tracking_server.door.gate import NativeGate
from tracking_server.door.route import Resource, Route
from tracking_server.door.table import TABLE
from tracking_server.errors import MlflowError, Unavailable
from tracking_server.exit_codes import ExitCode
from tracking_server.store.connect import open_database
from tracking_server.store.database import StoreError
from tracking_server.store.schema import Schema, SchemaState, classify, installed_revisions, probe
from tracking_server.upstream.process import StockProcess
from tracking_server.upstream.socket_directory import SocketDirectory, SocketDirectoryError

_PATIENCE = 15.0
_ASK_SECONDS = 5.0
_POLL = 0.1

REASONS = {
    "route": "no native handler yet",
    "database-kind": "stock MLflow alone knows this kind of database",
    "registry-uri": "the model registry has a database of its own",
    "schema": "native handlers were not tested on the database's schema",
    "artifact-destination": "stock MLflow alone knows this artifact store",
    "unknown": "not known before the database can be reached",
}
"""Why a route is not answered natively, by the word that labels it in metrics."""


class State(enum.StrEnum):
    OK = "ok"
    NOTE = "note"
    """Works, and deserves to be known."""
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried. Holds no secret."""

    name: str
    state: State
    detail: str


@dataclass(frozen=True, slots=True)
class Answerer:
    """Who answers a route in a server with this configuration; ``reason`` says why it is not native."""

    label: str
    methods: tuple[str, ...]
    paths: tuple[str, ...]
    resource: str
    answered_by: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything that was found. ``schema`` is None when the database could not be looked at."""

    versions: dict[str, str]
    checks: tuple[Check, ...]
    schema: Schema | None
    routes: tuple[Answerer, ...]

    @property
    def exit_code(self) -> ExitCode:
        failed = {check.name for check in self.checks if check.state is State.FAILED}
        if not failed:
            return ExitCode.OK
        return ExitCode.DATABASE_NOT_READY if failed == {"schema"} else ExitCode.UNREACHABLE


async def diagnose(config: Config, *, start_stock: bool) -> Diagnosis:
    """Tries everything that ``config`` names; ``start_stock`` also starts stock MLflow once and ends it again."""
    (database, schema), (artifacts, artifacts_are_native), server = await asyncio.gather(
        _check_database(config), _check_artifacts(config), _check_server(config)
    )
    may_start = schema.servable if schema is not None else config.database.kind is DatabaseKind.OTHER
    stock = await _check_stock(config, start_stock, may_start)
    gate = NativeGate(config, os.environ)
    gate.schema = schema
    if schema is not None and schema.state is SchemaState.EMPTY:
        gate.schema = classify({"experiments", "runs"}, [schema.installed_head], installed_revisions())
    routes = tuple(_answerer(route, gate, artifacts_are_native) for route in TABLE)
    versions = {"tracking-server": __version__, "mlflow": metadata.version("mlflow")}
    return Diagnosis(versions, (*database, artifacts, server, stock), schema, routes)


async def _check_database(config: Config) -> tuple[list[Check], Schema | None]:
    settings, where = config.database, config.database.connection.masked()
    if settings.kind is DatabaseKind.OTHER:
        return [Check("database", State.NOTE, f"{where}: only stock MLflow can reach it")], None
    if settings.kind is DatabaseKind.SQLITE and not settings.sqlite_path().exists():
        found = Check("database", State.NOTE, f"{settings.sqlite_path()} does not exist; serve will make it")
        return [found], classify(set(), [], installed_revisions())
    began = time.perf_counter()
    try:
        async with asyncio.timeout(settings.wait_seconds + _PATIENCE):
            schema = await _probe(config)
    except TimeoutError:
        return [Check("database", State.FAILED, f"{where}: no answer")], None
    except (MlflowError, StoreError) as error:
        return [Check("database", State.FAILED, f"{where}: {error}")], None
    milliseconds = (time.perf_counter() - began) * 1000
    reached = Check("database", State.OK, f"{where}: opened and read in {milliseconds:.0f} ms")
    return [reached, _schema_check(config, schema)], schema


async def _probe(config: Config) -> Schema:
    database = await open_database(replace(config.database, pool_min=0, pool_max=1))
    try:
        return await probe(database)
    finally:
        await database.close()


def _schema_check(config: Config, schema: Schema) -> Check:
    explanation = schema.explain()
    match schema.state:
        case SchemaState.TESTED:
            return Check("schema", State.OK, explanation)
        case SchemaState.EMPTY:
            return Check("schema", State.NOTE, f"{explanation}; serve will have MLflow make its tables")
        case SchemaState.UNKNOWN:
            return Check("schema", State.NOTE, explanation)
        case _:
            return Check("schema", State.FAILED, explanation)


async def _check_artifacts(config: Config) -> tuple[Check, bool]:
    """The check, and whether artifacts are native with this configuration."""
    where = config.artifacts.destination_for_stock()
    try:
        destination = open_destination(config.artifacts, {**os.environ, **config.stock.environment.reveal()})
    except (OSError, BaseError) as error:
        return Check("artifacts", State.FAILED, f"{where}: {error}"), True
    if not destination.is_native:
        return Check("artifacts", State.NOTE, f"{where}: only stock MLflow can reach it"), False
    try:
        async with asyncio.timeout(_PATIENCE):
            await destination.store.check()
    except TimeoutError:
        return Check("artifacts", State.FAILED, f"{where}: no answer"), True
    except (OSError, MlflowError) as error:
        return Check("artifacts", State.FAILED, f"{where}: {error}"), True
    return Check("artifacts", State.OK, f"{where}: reached"), True


async def _check_server(config: Config) -> Check:
    """Asks a server that already runs at the configured address, if one does."""
    url = f"{config.server.url}/-/ready"
    tls: ssl.SSLContext | bool = True
    try:
        if config.server.tls_certificate is not None:
            # Our own certificate is what we expect, whoever signed it and for whatever name.
            tls = ssl.create_default_context(cafile=str(config.server.tls_certificate))
            tls.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            tls.check_hostname = False
        timeout = aiohttp.ClientTimeout(total=_ASK_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url, ssl=tls) as response:
            state = await response.json()
            parts = ", ".join(f"{name} {state[name]['state']}" for name in ("database", "object_store", "stock"))
            counts = ", ".join(f"{count} for {reason}" for reason, count in sorted(state["forwarded"].items()))
            detail = f"{url}: {parts}; forwarded so far: {counts or 'nothing'}"
            return Check("server", State.OK if response.status == 200 else State.FAILED, detail)
    except aiohttp.ClientConnectorError:
        return Check("server", State.SKIPPED, f"none runs at {config.server.url}")
    except (OSError, TimeoutError, aiohttp.ClientError, ValueError, KeyError, TypeError) as error:
        return Check("server", State.NOTE, f"{url}: something else than this server answers there ({error!r})")


async def _check_stock(config: Config, start: bool, may_start: bool) -> Check:
    if not config.stock.enabled:
        return Check("stock MLflow", State.NOTE, "turned off: what is not native is answered 503")
    if not start:
        return Check("stock MLflow", State.SKIPPED, "not started; --start-stock tries it")
    if not may_start:
        return Check("stock MLflow", State.SKIPPED, "not started, because it would change this database")
    # No jobs, which a server that is running may be doing at the same time.
    settings = replace(config.stock, start=StockStart.EAGER, jobs=StockJobs.NEVER, socket_directory=None)
    try:
        directory = SocketDirectory.create(None)
    except (OSError, SocketDirectoryError) as error:
        return Check("stock MLflow", State.FAILED, f"no folder for its socket: {error}")
    try:
        trial = replace(config, stock=settings)
        return await _trial(StockProcess(trial, directory, config.server.port), directory, settings.start_timeout)
    finally:
        directory.remove(None)


async def _trial(stock: StockProcess, directory: SocketDirectory, seconds: float) -> Check:
    began = time.perf_counter()
    running = asyncio.create_task(stock.run())
    was_running = False
    try:
        async with asyncio.timeout(seconds):
            while not directory.was_ready.exists():
                if was_running and stock.pid is None:
                    return Check("stock MLflow", State.FAILED, "ended while starting; its lines say why")
                was_running = stock.pid is not None
                await asyncio.sleep(_POLL)
    except TimeoutError:
        return Check("stock MLflow", State.FAILED, f"did not answer within {seconds:.0f} seconds")
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await stock.stop()
    return Check("stock MLflow", State.OK, f"started in {time.perf_counter() - began:.1f} seconds")


def _answerer(route: Route, gate: NativeGate, artifacts_are_native: bool) -> Answerer:
    reason: str | None
    try:
        reason = gate.forward_reason(route)
    except Unavailable:
        reason = "unknown"
    if reason is None and route.policy.resource is Resource.ARTIFACT and not artifacts_are_native:
        reason = "artifact-destination"
    answered_by = "native" if reason is None else "unknown" if reason == "unknown" else "stock"
    return Answerer(route.label, route.methods, route.paths, str(route.policy.resource), answered_by, reason)
