"""Collects at the times of ``gc.schedule``: the serving process waits, a process of its own collects.

At a due time each server of a deployment starts such a process, and one of them gets the lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pickle
import signal
import sys
import threading
import time
from datetime import UTC, datetime

from tracking_server import gc_metrics, logs
from tracking_server.config import Config
from tracking_server.cron import Schedule
from tracking_server.exit_codes import ExitCode, FatalError

logger = logging.getLogger(__name__)

# A clock may be set while we wait.
_LONGEST_SLEEP = 60.0
_ENDING_SECONDS = 10.0
# The lock is held at least so long: another server's clock may be late, and it must not collect once more.
_SHORTEST_TURN = 10.0


async def keep_collecting(config: Config) -> None:
    """Starts a collection whenever one is due, until cancelled. ``gc.schedule`` must be set."""
    assert config.gc.schedule is not None
    schedule = Schedule.parse(config.gc.schedule)
    while True:
        due = schedule.after(datetime.now(UTC))
        logger.info("garbage is collected next at %s", due.isoformat())
        await _sleep_until(due)
        await _collect(config)


async def _sleep_until(due: datetime) -> None:
    while True:
        seconds = (due - datetime.now(UTC)).total_seconds()
        if seconds <= 0:
            return
        await asyncio.sleep(min(seconds, _LONGEST_SLEEP))


async def _collect(config: Config) -> None:
    """Runs one collection in a process that ends with ours: its standard input is a pipe that we hold."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tracking_server.maintenance.gc.scheduled", stdin=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    try:
        with contextlib.suppress(ConnectionError):
            process.stdin.write(pickle.dumps(config))
            await process.stdin.drain()
        await process.wait()
    finally:
        process.stdin.close()
        if process.returncode is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ENDING_SECONDS):
                    await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()


def main() -> int:
    """Collects once, with the configuration that standard input brings; returns the exit code."""
    config: Config = pickle.load(sys.stdin.buffer)  # noqa: S301  our own parent wrote it, on a pipe only we share
    threading.Thread(target=_outlive_not, args=(sys.stdin.fileno(),), daemon=True).start()
    logs.setup(config.logging)
    # Here, because they load the drivers.
    from tracking_server.maintenance.gc.collect import Limits
    from tracking_server.maintenance.gc.command import run
    from tracking_server.maintenance.gc.progress import Silent
    from tracking_server.maintenance.gc.selection import Request
    from tracking_server.maintenance.gc.summary import Summary

    request = Request(older_than=config.gc.older_than)
    began = time.monotonic()
    summary = Summary(dry_run=False)
    try:
        summary = asyncio.run(
            run(config, request, Limits(), dry_run=False, reporter=Silent(), shortest_turn=_SHORTEST_TURN)
        )
    except FatalError as error:
        if error.exit_code is ExitCode.LOCKED:
            logger.info("another server of this deployment collects garbage")
            return ExitCode.LOCKED
        logger.error("garbage could not be collected: %s", error)
        code = error.exit_code
    else:
        code = ExitCode.GC_INCOMPLETE if summary.kept else ExitCode.OK
        logger.info("garbage was collected: %s", summary.sentence())
        for kept in summary.kept:
            logger.warning("kept %s: %s", kept.id, kept.reason)
    if config.stock.socket_directory is not None:
        last = gc_metrics.LastCollection(
            finished=time.time(),
            seconds=summary.seconds or round(time.monotonic() - began, 3),
            succeeded=code in (ExitCode.OK, ExitCode.GC_INCOMPLETE),
            kept=len(summary.kept),
            deleted=summary.counts(),
        )
        try:
            gc_metrics.write(config.stock.socket_directory, last)
        except OSError as error:
            logger.warning("the metrics of the collection cannot be written: %s", error)
    return code


def _outlive_not(pipe: int) -> None:
    """Waits for the server's end and ends the process: what was begun is finished by the next collection."""
    os.read(pipe, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    # The pickle was made by a process that knows this module by its name.
    from tracking_server.maintenance.gc.scheduled import main as _main

    sys.exit(_main())
