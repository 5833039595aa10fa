"""One collection from its settings: open the database, check its schema, collect, and turn errors into exit codes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from tracking_server.config import Config, DatabaseKind
from tracking_server.errors import ErrorCode, MlflowError, Unavailable
from tracking_server.exit_codes import ExitCode, FatalError
from tracking_server.maintenance.gc.collect import Limits, collect, with_patience
from tracking_server.maintenance.gc.progress import progress_on_stderr
from tracking_server.maintenance.gc.selection import Request
from tracking_server.maintenance.gc.summary import Summary
from tracking_server.store import schema
from tracking_server.store.connect import open_database
from tracking_server.store.database import CannotOpen, Database, StoreError

_REFUSALS = (ErrorCode.INVALID_PARAMETER_VALUE, ErrorCode.RESOURCE_DOES_NOT_EXIST, ErrorCode.INTERNAL_ERROR)


async def run(config: Config, request: Request, limits: Limits, *, dry_run: bool) -> Summary:
    """Collects, or counts with ``dry_run``, and tells on standard error how far it is.

    Raises FatalError where the database cannot be reached or collected, and for ids that stock refuses.
    """
    config = with_patience(config)
    async with _opened(config) as database:
        with progress_on_stderr() as reporter, _refusals_are_fatal():
            return await collect(config, database, request, reporter, dry_run=dry_run, limits=limits)


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
