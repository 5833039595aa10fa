"""Hands a request to stock MLflow whole, over its Unix socket, and streams the answer back."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import importlib
from collections.abc import AsyncIterator, Awaitable
from typing import TYPE_CHECKING, Any, TypeVar

from tracking_server.config import StockJobs, StockSettings
from tracking_server.errors import Unavailable
from tracking_server.upstream import headers
from tracking_server.upstream.socket_directory import SocketDirectory
from tracking_server.web import Answer, ClientDisconnected, Request, Response, StreamingResponse

if TYPE_CHECKING:
    from tracking_server.upstream.client import StockClient, StockResponse

T = TypeVar("T")

_SMALL_ANSWER = 64 * 1024
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 0.5
_JOBS_PAUSE = 0.1


class StockState(enum.StrEnum):
    """Where stock MLflow stands."""

    OFF = "off"
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"


class NotListening(Exception):
    """Nobody accepts connections on stock's socket, so nothing of the request was sent."""


class ConnectionLost(Exception):
    """The connection to stock broke after the request was sent, in part or whole."""


class Forwarder:
    """A worker's way to stock MLflow. ``settings.socket_directory`` is the folder that the supervisor made."""

    def __init__(self, settings: StockSettings) -> None:
        path = settings.socket_directory
        self._directory = SocketDirectory(path) if settings.enabled and path is not None else None
        self._start_timeout = settings.start_timeout
        self._jobs_can_wait = settings.jobs is StockJobs.AUTO
        self._client: StockClient | None = None

    async def warm_up(self) -> None:
        """Loads the HTTP client (a quarter of a second) on a thread, so that the first forwarded request need not."""
        await asyncio.to_thread(importlib.import_module, "tracking_server.upstream.client")

    async def state(self) -> StockState:
        """Asks stock itself; answers within two seconds."""
        if self._directory is None:
            return StockState.OFF
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(2):
                if await health(self._directory):
                    return StockState.READY
        return StockState.RESTARTING if self._directory.was_ready.exists() else StockState.STARTING

    async def forward(self, request: Request, *, needs_jobs: bool = False) -> Answer:
        """Stock's answer to ``request``, headers at hand, body as it arrives.

        ``needs_jobs``: it goes to a stock that runs background jobs, which is started for it where the setting allows.
        Close the answer's chunks (``aclose``) when you stop reading early. Waits for a stock that is starting. Raises
        Unavailable when it does not come or goes away, ClientDisconnected when the client has left, and what
        ``request.stream`` raises.
        """
        if self._directory is None:
            raise Unavailable("This request needs stock MLflow, which the configuration has turned off", retry_after=60)
        body = _Body(request) if headers.has_body(request) else None
        disconnected = asyncio.ensure_future(_disconnect(request, body))
        try:
            sending = self._send(self._directory, request, body, needs_jobs=needs_jobs and self._jobs_can_wait)
            response = await _unless(disconnected, sending)
            return await self._answer(request, response, disconnected)
        except BaseException:
            disconnected.cancel()
            raise

    async def close(self) -> None:
        """Closes the connections to stock."""
        if self._client is not None:
            await self._client.close()

    async def _answer(self, request: Request, response: StockResponse, disconnected: asyncio.Future[None]) -> Answer:
        fields = headers.for_client(response.headers, response.status)
        if request.method != "HEAD" and response.length is not None and response.length <= _SMALL_ANSWER:
            try:
                body = await _unless(disconnected, response.read())
            except ConnectionLost as error:
                raise _went_away() from error
            finally:
                response.close()
                disconnected.cancel()
            return Response(response.status, body, fields)
        return StreamingResponse(response.status, fields, _Chunks(response, disconnected))

    async def _send(
        self, directory: SocketDirectory, request: Request, body: _Body | None, *, needs_jobs: bool
    ) -> StockResponse:
        if needs_jobs:
            await self._await_jobs(directory)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._start_timeout
        pause = _FIRST_PAUSE
        # Only what changes nothing and can be sent again may be sent twice.
        may_repeat = request.method in ("GET", "HEAD") and body is None
        while True:
            try:
                return await self._open(directory).send(request, body)
            except NotListening as error:
                if loop.time() >= deadline:
                    raise Unavailable("Stock MLflow, which this request needs, is not running") from error
                directory.wanted.touch()
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_PAUSE)
            except ConnectionLost as error:
                if body is not None and body.failure is not None:
                    raise body.failure from None
                if not may_repeat:
                    raise _went_away() from error
                may_repeat = False

    async def _await_jobs(self, directory: SocketDirectory) -> None:
        """Returns when whatever will listen on the socket runs background jobs."""
        try:
            async with asyncio.timeout(self._start_timeout):
                while not directory.with_jobs.exists():
                    # In this order, so that a stock that waits to be wanted is started with jobs at once.
                    directory.jobs_wanted.touch()
                    directory.wanted.touch()
                    await asyncio.sleep(_JOBS_PAUSE)
        except TimeoutError as error:
            raise Unavailable("Stock MLflow's background jobs, which this request needs, do not run") from error

    def _open(self, directory: SocketDirectory) -> StockClient:
        if self._client is None:
            from tracking_server.upstream.client import StockClient

            self._client = StockClient(directory.socket)
        return self._client


class _Body:
    """The request's body on its way to stock; knows when it was sent and why it broke off."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.sent = asyncio.Event()
        self.failure: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._request.stream():
                yield chunk
        except Exception as error:
            self.failure = error
            raise
        self.sent.set()


class _Chunks:
    """Stock's body as it arrives. Ends with ClientDisconnected, and closes, when the client goes."""

    def __init__(self, response: StockResponse, disconnected: asyncio.Future[None]) -> None:
        self._response = response
        self._disconnected = disconnected
        disconnected.add_done_callback(self._on_disconnect)

    def __aiter__(self) -> _Chunks:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await self._response.next_chunk()
        except BaseException as error:
            gone = self._disconnected.done() and not self._disconnected.cancelled()
            await self.aclose()
            if gone and isinstance(error, ConnectionLost):
                raise ClientDisconnected from error
            raise
        if not chunk:
            await self.aclose()
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        self._disconnected.cancel()
        self._response.close()

    def _on_disconnect(self, disconnected: asyncio.Future[None]) -> None:
        if not disconnected.cancelled():
            self._response.close()


async def health(directory: SocketDirectory) -> bool:
    """Whether stock answers a request on its socket. Raises OSError where nobody listens."""
    reader, writer = await asyncio.open_unix_connection(directory.socket)
    try:
        # Any answer will do: under a static prefix /health is 404, and the router has worked for it.
        writer.write(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        return (await reader.readline()).startswith(b"HTTP/1.1 ")
    finally:
        writer.close()


async def _disconnect(request: Request, body: _Body | None) -> None:
    if request.wait_disconnect is None:
        await asyncio.get_running_loop().create_future()
    else:
        if body is not None:
            await body.sent.wait()
        await request.wait_disconnect()


async def _unless(disconnected: asyncio.Future[None], work: Awaitable[T]) -> T:
    """The result of ``work``, which is cancelled with ClientDisconnected when the client goes first."""
    task = asyncio.ensure_future(work)
    try:
        first: set[asyncio.Future[Any]] = {task, disconnected}
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientDisconnected
    finally:
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def _went_away() -> Unavailable:
    return Unavailable("Stock MLflow went away before it answered; whether it carried the request out is not known")
