"""Takes the place of the package ``mlflow`` in a process: on uvicorn as `mlflow server`, but quick to start.

Answers every request with its process id and whether it runs background jobs; POST /slow only after half a second.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn


async def answer(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    while (await receive()).get("more_body"):
        pass
    if scope["path"] == "/slow":
        await asyncio.sleep(0.5)
    text = f"{os.getpid()} {os.environ['MLFLOW_SERVER_ENABLE_JOB_EXECUTION']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(text))]})
    await send({"type": "http.response.body", "body": text})


if __name__ == "__main__":
    options = shlex.split(sys.argv[sys.argv.index("--uvicorn-opts") + 1])
    uvicorn.run(answer, uds=options[options.index("--uds") + 1], timeout_keep_alive=75, lifespan="off")
