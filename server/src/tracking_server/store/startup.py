"""What has to be true of the database before a server starts on it."""

from __future__ import annotations

import asyncio
import logging

from tracking_server.config import Config, DatabaseKind
from tracking_server.errors import MlflowError
from tracking_server.exit_codes import ExitCode, FatalError
from tracking_server.store import schema
from tracking_server.store.database import CannotOpen, Database, StoreError

logger = logging.getLogger(__name__)

_PATIENCE = 30.0
_PAUSE = 1.0


async def prepare(config: Config) -> None:
    """Makes MLflow's tables in an empty database, and logs in one line what will be native and what forwarded.

    Raises FatalError when the schema is behind MLflow's or not MLflow's, or the database stays away for 30 seconds.
    """
    if config.database.kind is DatabaseKind.OTHER:
        logger.info("%s is served by stock MLflow: every request is forwarded", config.database.uri.dialect)
        return
    found = await _probe(config)
    if found.state is schema.SchemaState.EMPTY:
        logger.info("the database is empty: MLflow makes its tables")
        try:
            await schema.initialise(config.database.uri_for_stock(), config.artifacts.root)
        except schema.InitialisationFailed as error:
            raise FatalError(str(error), ExitCode.DATABASE_NOT_READY) from error
        found = await _probe(config)
    if not found.servable:
        explanation = found.explain().replace("<database URI>", config.database.uri.masked())
        raise FatalError(explanation, ExitCode.DATABASE_NOT_READY)
    logger.log(logging.INFO if found.native else logging.WARNING, "%s", found.explain())


async def _probe(config: Config) -> schema.Schema:
    database = await _open(config)
    try:
        return await schema.probe(database)
    except (MlflowError, StoreError) as error:
        raise FatalError(f"the database is away: {error}", ExitCode.UNREACHABLE) from error
    finally:
        await database.close()


async def _open(config: Config) -> Database:
    # Here, because it loads the drivers.
    from tracking_server.store.connect import open_database

    deadline = asyncio.get_running_loop().time() + _PATIENCE
    while True:
        try:
            return await open_database(config.database)
        except CannotOpen as error:
            if not error.may_pass or asyncio.get_running_loop().time() >= deadline:
                raise FatalError(f"the database cannot be reached: {error}", ExitCode.UNREACHABLE) from error
            logger.warning("the database cannot be reached yet: %s", error)
        await asyncio.sleep(_PAUSE)
