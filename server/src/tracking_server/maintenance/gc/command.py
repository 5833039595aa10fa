"""One collection from its settings: open the database, check its schema, collect, and turn errors into exit codes."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from tracking_server.config import Config, DatabaseKind
from tracking_server.errors import ErrorCode, MlflowError, Unavailable
from tracking_server.exit_codes import ExitCode, FatalError
from tracking_server.maintenance.gc.collect import Limits, collect, with_patience
from tracking_server.maintenance.gc.lock import AlreadyCollecting, collection_lock
from tracking_server.maintenance.gc.orphans import OrphanReport, find_orphans
from tracking_server.maintenance.gc.places import Places
from tracking_server.maintenance.gc.progress import Reporter, progress_on_stderr
from tracking_server.maintenance.gc.selection import Request
from tracking_server.maintenance.gc.summary import Summary
from tracking_server.store import schema
from tracking_server.store.connect import open_database
from tracking_server.store.database import CannotOpen, Database, StoreError
from tracking_server.store.serving_lock import ServingLock

_UPGRADE_SECONDS = 3600.0
_REFUSALS = (ErrorCode.INVALID_PARAMETER_VALUE, ErrorCode.RESOURCE_DOES_NOT_EXIST, ErrorCode.INTERNAL_ERROR)


async def run(
    config: Config,
    request: Request,
    limits: Limits,
    *,
    dry_run: bool,
    reporter: Reporter | None = None,
    shortest_turn: float = 0.0,
) -> Summary:
    """Collects, or counts with ``dry_run``; tells ``reporter`` how far it is, or people on standard error.

    No other collection begins for ``shortest_turn`` seconds. Raises FatalError where the database cannot be reached
    or collected, where another process collects it, and for ids that stock refuses.
    """
    config = with_patience(config)
    began = time.monotonic()
    async with _opened(config) as database, _alone(config, dry_run=dry_run):
        with _reporting(reporter) as told, _refusals_are_fatal():
            summary = await collect(config, database, request, told, dry_run=dry_run, limits=limits)
        await asyncio.sleep(began + shortest_turn - time.monotonic())
        return summary


async def run_orphans(config: Config, *, delete: bool) -> OrphanReport:
    """Reports orphans, and deletes them with ``delete``. Raises FatalError as ``run`` does."""
    config = with_patience(config)
    environment = {**os.environ, **config.stock.environment.reveal()}
    async with _opened(config) as database, _alone(config, dry_run=not delete):
        with progress_on_stderr() as told, _refusals_are_fatal():
            return await find_orphans(database, Places(config.artifacts, environment), told, delete=delete)


@contextmanager
def _reporting(reporter: Reporter | None) -> Iterator[Reporter]:
    if reporter is not None:
        yield reporter
        return
    with progress_on_stderr() as told:
        yield told


@asynccontextmanager
async def _alone(config: Config, *, dry_run: bool) -> AsyncIterator[None]:
    """Keeps other collections, and upgrades of the database, from running beside this one."""
    if dry_run:
        yield
        return
    serving = ServingLock(config, lambda: None)
    keeping = asyncio.create_task(serving.run())
    try:
        async with collection_lock(config.database):
            async with asyncio.timeout(_UPGRADE_SECONDS):
                await serving.held.wait()
            yield
    except AlreadyCollecting as error:
        raise FatalError(str(error), ExitCode.LOCKED) from error
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


@asynccontextmanager
async def _opened(config: Config) -> AsyncIterator[Database]:
    if config.database.kind is DatabaseKind.OTHER:
        message = f"{config.database.uri.dialect} databases are collected by `mlflow gc` alone"
        raise FatalError(message, ExitCode.BAD_CONFIGURATION)
    if config.database.kind is DatabaseKind.SQLITE and not config.database.sqlite_path().exists():
        raise FatalError(f"{config.database.sqlite_path()} does not exist", ExitCode.UNREACHABLE)
    try:
        database = await open_database(config.database)
    except CannotOpen as error:
        raise FatalError(f"the database cannot be reached: {error}", ExitCode.UNREACHABLE) from error
    try:
        try:
            found = await schema.probe(database)
        except (MlflowError, StoreError) as error:
            raise FatalError(f"the database cannot be read: {error}", ExitCode.UNREACHABLE) from error
        if not found.native:
            raise FatalError(f"nothing is collected: {found.explain()}", ExitCode.DATABASE_NOT_READY)
        yield database
    finally:
        await database.close()


@contextmanager
def _refusals_are_fatal() -> Iterator[None]:
    try:
        yield
    except Unavailable as error:
        raise FatalError(error.message, ExitCode.UNREACHABLE) from error
    except MlflowError as error:
        code = ExitCode.BAD_CONFIGURATION if error.code in _REFUSALS else ExitCode.FAILURE
        raise FatalError(error.message, code) from error
