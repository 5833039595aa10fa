"""A small application behind the real protocol, and raw sockets to talk to it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

from tracking_server.config import LimitSettings
from tracking_server.http_protocol import limited_protocol

Message = MutableMapping[str, Any]


@dataclass
class Echo:
    """Answers 200 with the body; ``/slow`` waits for ``released``; ``/stream`` begins its answer before the body.

    ``seen`` are the paths of the requests that reached it, ``disconnected`` those that broke off.
    """

    seen: list[str] = field(default_factory=list)
    disconnected: list[str] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        path = scope["path"]
        self.seen.append(path)
        if path == "/slow":
            await self.released.wait()
        if path == "/stream":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.disconnected.append(path)
                return
            body += message["body"]
            if not message["more_body"]:
                break
        if path == "/stream":
            await send({"type": "http.response.body", "body": b""})
            return
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@dataclass
class Serving:
    """A running server: its application and its port."""

    app: Echo
    port: int
    server: uvicorn.Server

    async def connect(self) -> Client:
        return Client(*await asyncio.open_connection("127.0.0.1", self.port))


@dataclass
class Client:
    """A raw connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> Answer:
        """The next answer with a content-length."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)
        status, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await self.reader.readexactly(int(headers["content-length"]))
        return Answer(int(status.split()[1]), headers, body)

    async def ended(self) -> bytes:
        """All that comes until the server closes the connection, which it must do soon."""
        return await asyncio.wait_for(self.reader.read(), 10)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error_code(self) -> str:
        """The code in MLflow's error shape."""
        assert self.headers["content-type"] == "application/json"
        error = json.loads(self.body)
        assert error["message"]
        code: str = error["error_code"]
        return code


@pytest.fixture
def limits() -> LimitSettings:
    return LimitSettings(max_header=8192, header_timeout=30.0, max_concurrent=8)


@pytest.fixture
async def serving(limits: LimitSettings) -> AsyncIterator[Serving]:
    app = Echo()
    listener = socket.create_server(("127.0.0.1", 0))
    options = uvicorn.Config(
        app,
        http=limited_protocol(limits),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
    )
    server = uvicorn.Server(options)
    task = asyncio.create_task(server.serve([listener]))
    while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(0.01)
    yield Serving(app, listener.getsockname()[1], server)
    app.released.set()
    server.should_exit = server.force_exit = True
    await task
