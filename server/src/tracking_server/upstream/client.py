"""HTTP to stock MLflow by aiohttp: nothing decoded, followed, remembered or sent twice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Protocol

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from tracking_server.upstream import headers
from tracking_server.upstream.forward import ConnectionLost, NotListening
from tracking_server.web import HeaderList, Request

_CONNECTIONS = 256
# Shorter than stock's own (process.py), so that a kept connection is never one that stock is just closing.
_KEEP_ALIVE = 15.0
_LONGEST_HEADER = 64 * 1024
_NOT_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class BodySource(Protocol):
    def __aiter__(self) -> AsyncIterator[bytes]: ...


class StockResponse:
    """An answer of stock whose header has arrived."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: HeaderList = response.raw_headers
        self.length = response.content_length

    async def read(self) -> bytes:
        """The whole body. Raises ConnectionLost."""
        try:
            return await self._response.read()
        except aiohttp.ClientError as error:
            raise ConnectionLost(str(error)) from error

    async def next_chunk(self) -> bytes:
        """What has arrived since, b"" at the end. Raises ConnectionLost."""
        try:
            return await self._response.content.readany()
        except aiohttp.ClientError as error:
            raise ConnectionLost(str(error)) from error

    def close(self) -> None:
        """Gives the connection back where the body was read to its end, else breaks it off."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class StockClient:
    """The connections to stock's Unix socket. Made inside the running event loop."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._session = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(path=str(socket), limit=_CONNECTIONS, keepalive_timeout=_KEEP_ALIVE),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
            skip_auto_headers=_NOT_ADDED,
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
            middlewares=(_only_once,),
        )

    async def send(self, request: Request, body: BodySource | None) -> StockResponse:
        """Sends the request. Raises NotListening before anything was sent, ConnectionLost after."""
        if not self._socket.exists():
            # Stock is being replaced, and kept connections still lead to the one that ends.
            raise NotListening("stock's socket is gone")
        target = request.raw_path + (b"?" + request.query_string if request.query_string else b"")
        fields: Mapping[str, str] = CIMultiDict(headers.for_stock(request))
        response = await self._session.request(
            request.method,
            # The host is never looked up, and the Host header is the client's: it is what stock builds URLs from.
            URL("http://stock" + target.decode("ascii"), encoded=True),
            headers=fields,
            data=body,
            allow_redirects=False,
        )
        return StockResponse(response)

    async def close(self) -> None:
        await self._session.close()


async def _only_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    # Errors that are not aiohttp's own: aiohttp would repeat a PUT or DELETE by itself.
    try:
        return await send(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise NotListening(str(error)) from error
    except aiohttp.ClientError as error:
        raise ConnectionLost(str(error)) from error
