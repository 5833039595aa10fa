"""The limit of HTTP: the same HTTP server (uvicorn, uvloop, httptools) that takes a request and answers so many bytes.

    python -m bench.noop PORT

GET /-/size/N makes it answer N bytes from then on.
"""

from __future__ import annotations

import sys
from typing import Any

import uvicorn

_SIZE = "/-/size/"


class Application:
    """ASGI, without anything between."""

    def __init__(self) -> None:
        self._set_body(2)

    def _set_body(self, size: int) -> None:
        self._body = b"x" * size
        self._headers = [(b"content-type", b"application/json"), (b"content-length", str(size).encode())]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        more = True
        while more:
            more = (await receive()).get("more_body", False)
        if scope["path"].startswith(_SIZE):
            self._set_body(int(scope["path"].removeprefix(_SIZE)))
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._body})


def main() -> None:
    """Serves until a signal."""
    uvicorn.run(
        Application(),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_level="error",
        access_log=False,
        server_header=False,
    )


if __name__ == "__main__":
    main()
