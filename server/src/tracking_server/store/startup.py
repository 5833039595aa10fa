"""What has to be true of the database before a server serves what is in it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace

from tracking_server.config import Config, DatabaseKind
from tracking_server.errors import ForwardRequest, MlflowError
from tracking_server.exit_codes import ExitCode, FatalError
from tracking_server.store import schema
from tracking_server.store.database import CannotOpen, StoreError
from tracking_server.uris import absolute_root, append_path

logger = logging.getLogger(__name__)

_ATTEMPT = 1.0
_PAUSE = 1.0
_REMINDER = 60.0


async def prepare(config: Config, on_away: Callable[[], None]) -> None:
    """Makes MLflow's tables in an empty database, and logs in one line what will be native and what forwarded.

    Waits for a database that is away as long as it takes, and calls ``on_away`` once when it first is. Raises
    FatalError when it refuses us, or when its schema is behind MLflow's or not MLflow's.
    """
    if config.database.kind is DatabaseKind.OTHER:
        logger.info("%s is served by stock MLflow: every request is forwarded", config.database.uri.dialect)
        return
    found = await _found(config, on_away)
    if found.state is schema.SchemaState.EMPTY:
        logger.info("the database is empty: MLflow makes its tables, which takes half a minute")
        try:
            await schema.initialise(config.database.uri_for_stock(), config.artifacts.root)
        except schema.InitialisationFailed as error:
            raise FatalError(str(error), ExitCode.DATABASE_NOT_READY) from error
        found = await _found(config, on_away)
    if not found.servable:
        explanation = found.explain().replace("<database URI>", config.database.uri.masked())
        raise FatalError(explanation, ExitCode.DATABASE_NOT_READY)
    logger.log(logging.INFO if found.native else logging.WARNING, "%s", found.explain())


async def _found(config: Config, on_away: Callable[[], None]) -> schema.Schema:
    loop = asyncio.get_running_loop()
    remind_at = loop.time()
    while True:
        try:
            return await _probe(config)
        except CannotOpen as error:
            if not error.may_pass:
                raise FatalError(f"the database cannot be reached: {error}", ExitCode.UNREACHABLE) from error
            reason = str(error)
        except MlflowError as error:
            reason = error.message
        except StoreError as error:
            raise FatalError(f"the database cannot be read: {error}", ExitCode.UNREACHABLE) from error
        if loop.time() >= remind_at:
            logger.warning("the database cannot be reached yet: %s", reason)
            remind_at = loop.time() + _REMINDER
        on_away()
        await asyncio.sleep(_PAUSE)


async def _probe(config: Config) -> schema.Schema:
    # Here, because they load the drivers and the searches.
    from tracking_server.store import experiments
    from tracking_server.store.connect import open_database

    settings = config.database
    database = await open_database(replace(settings, wait_seconds=min(_ATTEMPT, settings.wait_seconds)))
    try:
        found = await schema.probe(database)
        # A root that only stock knows how to extend is left to stock, which makes the experiment at its own start.
        with contextlib.suppress(ForwardRequest):
            if found.native:
                await experiments.ensure_default(database, append_path(absolute_root(config.artifacts.root), "0"))
        return found
    finally:
        await database.close()
