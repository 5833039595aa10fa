"""A network between client and server that a test can cut, or make swallow everything."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Proxy:
    """Forwards TCP from a free port of 127.0.0.1 to ``port``."""

    def __init__(self, port: int) -> None:
        self.cut_at: bytes | None = None
        """Cuts the connection once, when the client sends this; the server still gets it if ``deliver_cut``."""
        self.deliver_cut = True
        self.cuts = 0
        self._generation = 0
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> int:
        """Listens; returns the port."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        self._server.close()
        self.cut_all()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def mute_all(self) -> None:
        """Makes every open connection lead nowhere, without a word, as a failover may."""
        self._generation += 1

    def cut_all(self) -> None:
        """Ends every connection."""
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [writer, server_writer]
        for source, target, from_client in ((reader, server_writer, True), (server_reader, writer, False)):
            task = asyncio.ensure_future(self._pump(source, target, from_client, self._generation))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, from_client: bool, generation: int
    ) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                if generation != self._generation:
                    continue
                if from_client and self.cut_at is not None and self.cut_at in data:
                    self.cut_at = None
                    self.cuts += 1
                    if self.deliver_cut:
                        target.write(data)
                        await target.drain()
                    self.cut_all()
                    return
                target.write(data)
                await target.drain()
            target.close()
