"""Runs MLflow's migrations in a process of their own, so that this one never loads MLflow."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable

import msgspec

from tracking_server.exit_codes import ExitCode, FatalError
from tracking_server.maintenance.database.messages import Done, Event, Failed, FailureKind, Message, Order, Stage

_EXIT_CODES = {
    FailureKind.LOCKED: ExitCode.LOCKED,
    FailureKind.SCHEMA: ExitCode.DATABASE_NOT_READY,
    FailureKind.DATABASE: ExitCode.FAILURE,
}


async def run(order: Order, on_event: Callable[[Event | Stage], None]) -> Done:
    """Carries ``order`` out; ``on_event`` is told what happens meanwhile.

    Killed at any point, this process or the other, it leaves the database as it was. Raises FatalError.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tracking_server.maintenance.database.program"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"},
    )
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise AssertionError("they are pipes")
    saying = asyncio.create_task(process.stderr.read())
    try:
        # It stays open: its end would end the program.
        process.stdin.write(msgspec.json.encode(order) + b"\n")
        async for line in process.stdout:
            message = msgspec.json.decode(line, type=Message)
            if isinstance(message, Done):
                return message
            if isinstance(message, Failed):
                raise FatalError(message.reason, _EXIT_CODES[message.kind])
            on_event(message)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        said = (await saying).decode(errors="replace").strip()
    password_free = said.replace(order.uri, "the database").splitlines()
    raise FatalError(f"the migrations' process ended: {(password_free or ['no output'])[-1]}")
