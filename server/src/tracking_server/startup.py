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
from tracking_server.store.serving_lock import ServingLock
from tracking_server.uris import absolute_root, append_path

logger = logging.getLogger(__name__)

_ATTEMPT = 1.0
_PAUSE = 1.0
_REMINDER = 60.0
_LOCK_PATIENCE = 0.5
_INITIALISE_SECONDS = 600.0


async def prepare(config: Config, lock: ServingLock, on_away: Callable[[], None]) -> None:
    """Makes MLflow's tables in an empty database, and logs in one line what will be native and what forwarded.

    Waits for a database that is away, and for an upgrade that is running, as long as it takes, and calls ``on_away``
    when it has to. Raises FatalError when the database refuses us, or when its schema is behind MLflow's or not
    MLflow's. ``lock`` must be running.
    """
    if config.database.kind is DatabaseKind.OTHER:
        logger.info("%s is served by stock MLflow: every request is forwarded", config.database.uri.dialect)
        return
    # What is found before the lock is ours may be in the middle of an upgrade.
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(lock.held.wait(), _LOCK_PATIENCE)
    settled = lock.held.is_set()
    found = await _found(config, on_away)
    if not settled:
        if not lock.held.is_set():
            on_away()
            await lock.held.wait()
        found = await _found(config, on_away)
    if found.state is schema.SchemaState.EMPTY:
        logger.info("the database is empty: MLflow makes its tables, which takes half a minute")
        await initialise(config.database.uri_for_stock(), config.artifacts.root)
        found = await _found(config, on_away)
    if not found.servable:
        raise FatalError(found.explain(), ExitCode.DATABASE_NOT_READY)
    logger.log(logging.INFO if found.native else logging.WARNING, "%s", found.explain())


async def initialise(uri_for_stock: str, default_artifact_root: str) -> None:
    """Has MLflow make its tables and its Default experiment in an empty database.

    Several servers may do so at once: they take turns, and the later ones find the work done. Raises FatalError.
    """
    # Here, because most starts find the tables made.
    from tracking_server.maintenance.database import upgrade
    from tracking_server.maintenance.database.messages import Mode, Order

    order = Order(uri_for_stock, Mode.INITIALISE, default_artifact_root)
    try:
        async with asyncio.timeout(_INITIALISE_SECONDS):
            await upgrade.run(order, lambda event: logger.debug("%s", event))
    except TimeoutError as error:
        message = f"MLflow did not make its tables within {_INITIALISE_SECONDS:.0f} s"
        raise FatalError(message, ExitCode.DATABASE_NOT_READY) from error
    except FatalError as error:
        raise FatalError(f"MLflow could not make its tables: {error}", ExitCode.DATABASE_NOT_READY) from error


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
