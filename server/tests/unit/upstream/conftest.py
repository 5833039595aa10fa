"""A scripted server on a Unix socket in stock's place, to see exactly what the forwarder sends and does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tracking_server.config import StockSettings
from tracking_server.upstream.forward import Forwarder
from tracking_server.upstream.socket_directory import SocketDirectory
from tracking_server.web import Answer, Request, Response

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class ScriptedStock:
    """Runs ``script`` for each connection; ``connections`` counts them and ``ended`` those that the client ended."""

    directory: SocketDirectory
    script: Script
    connections: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    server: asyncio.Server | None = None

    async def start(self) -> None:
        self.directory.socket.unlink(missing_ok=True)
        self.server = await asyncio.start_unix_server(self._serve, self.directory.socket)

    async def stop(self) -> None:
        if self.server is not None:
            self.server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self.script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.ended.set()
        finally:
            writer.close()


def request(
    method: str = "GET",
    target: bytes = b"/path",
    *,
    body: bytes | AsyncIterator[bytes] = b"",
    headers: tuple[tuple[bytes, bytes], ...] = (),
    wait_disconnect: Callable[[], Awaitable[None]] | None = None,
) -> Request:
    """A request as the door makes it; a bytes body gets its content-length."""
    path, _, query = target.partition(b"?")

    async def whole() -> bytes:
        return b"".join([chunk async for chunk in chunks()])

    async def chunks() -> AsyncIterator[bytes]:
        if isinstance(body, bytes):
            yield body
        else:
            async for chunk in body:
                yield chunk

    length = ((b"content-length", str(len(body)).encode()),) if isinstance(body, bytes) and body else ()
    return Request(
        method,
        path.decode("latin-1"),
        path,
        query,
        ((b"host", b"example.com:5000"), *length, *headers),
        "the-id",
        whole,
        chunks,
        client_host="192.0.2.7",
        scheme="https",
        wait_disconnect=wait_disconnect,
    )


async def body_of(answer: Answer) -> bytes:
    """The answer's whole body."""
    if isinstance(answer, Response):
        return answer.body
    return b"".join([chunk async for chunk in answer.chunks])


async def read_head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def echo_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers each request with its own head."""
    while True:
        head = await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(head) + head)


@pytest.fixture
async def stock(tmp_path: Path) -> AsyncIterator[ScriptedStock]:
    """A running scripted stock that echoes heads; set ``script`` for another."""
    stock = ScriptedStock(SocketDirectory.create(tmp_path / "s"), echo_head)
    await stock.start()
    yield stock
    await stock.stop()


@pytest.fixture
async def forwarder(stock: ScriptedStock) -> AsyncIterator[Forwarder]:
    forwarder = Forwarder(StockSettings(socket_directory=stock.directory.path, start_timeout=5))
    yield forwarder
    await forwarder.close()
