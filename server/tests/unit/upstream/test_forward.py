"""What the forwarder sends, returns, repeats and gives up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tracking_server.config import StockSettings
from tracking_server.errors import MlflowError, Unavailable
from tracking_server.upstream.forward import ConnectionLost, Forwarder, StockState
from tracking_server.web import ClientDisconnected, Response, StreamingResponse
from unit.upstream.conftest import Script, ScriptedStock, body_of, read_head, request


def answering(answer: bytes) -> Script:
    """Gives each request the same answer."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_head(reader)
            writer.write(answer)

    return script


def until(event: asyncio.Event) -> Callable[[], Awaitable[None]]:
    """The client's leaving, as the door reports it."""

    async def wait() -> None:
        await event.wait()

    return wait


TARGETS = [
    b"/a%2Fb/../c//d/%C3%A9%zz;v=1",
    b"//host/path",
    b"/%2e%2e/%00",
    b"/p?q=a+b%20c&&=&q=%26",
    b"/p?a[]=1&b={x}|y",
    b"/a:b@c",
    b"/p?url=http://user:pw@host/",
]


@pytest.mark.parametrize("target", TARGETS)
async def test_path_and_query_arrive_byte_for_byte(stock: ScriptedStock, forwarder: Forwarder, target: bytes) -> None:
    head = await body_of(await forwarder.forward(request(target=target)))
    assert head.split(b"\r\n")[0] == b"GET " + target + b" HTTP/1.1"


async def test_the_header_says_who_the_client_is_and_nothing_of_its_connection(
    stock: ScriptedStock, forwarder: Forwarder
) -> None:
    headers = (
        *((b"connection", b"keep-alive, authorization"), (b"te", b"trailers"), (b"upgrade", b"websocket")),
        *((b"x-forwarded-for", b"127.0.0.1"), (b"x-forwarded-proto", b"ftp"), (b"forwarded", b"for=127.0.0.1")),
        *((b"authorization", b"Basic eA=="), (b"cookie", b"a=1"), (b"cookie", b"b=2"), (b"accept-encoding", b"br")),
        *((b"x-text", "é".encode()), (b"x-request-id", b"theirs"), (b"expect", b"100-continue")),
    )
    head = await body_of(await forwarder.forward(request(headers=headers)))
    assert sorted(head.strip().split(b"\r\n")[1:]) == [
        b"accept-encoding: br",
        b"authorization: Basic eA==",
        b"cookie: a=1",
        b"cookie: b=2",
        b"host: example.com:5000",
        b"x-forwarded-for: 192.0.2.7",
        b"x-forwarded-proto: https",
        b"x-request-id: the-id",
        "x-text: é".encode(),
    ]


async def test_a_body_of_unknown_length_goes_on_as_it_arrives(stock: ScriptedStock, forwarder: Forwarder) -> None:
    arrived: asyncio.Queue[bytes] = asyncio.Queue()
    proceed = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await arrived.put(await read_head(reader))
        for _ in range(2):
            size = int(await reader.readline(), 16)
            await arrived.put(await reader.readexactly(size))
            await reader.readline()
            proceed.set()
        await reader.readuntil(b"0\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        await proceed.wait()
        yield b"second"

    stock.script = script
    answer = await forwarder.forward(request("POST", body=body(), headers=((b"transfer-encoding", b"chunked"),)))
    assert answer.status == 204
    assert b"transfer-encoding: chunked" in (await arrived.get()).lower()
    assert [await arrived.get(), await arrived.get()] == [b"first", b"second"]


async def test_a_known_length_stays_known(stock: ScriptedStock, forwarder: Forwarder) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await read_head(reader)).lower()
        assert b"content-length: 5\r\n" in head
        assert b"transfer-encoding" not in head
        body = await reader.readexactly(5)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + body)

    stock.script = script
    assert await body_of(await forwarder.forward(request("PUT", body=b"hello"))) == b"hello"


async def test_events_come_one_by_one(stock: ScriptedStock, forwarder: Forwarder) -> None:
    read = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in (b"1", b"2"):
            writer.write(b"9\r\ndata: " + number + b"\n\n\r\n")
            await read.wait()
            read.clear()
        writer.write(b"0\r\n\r\n")

    stock.script = script
    answer = await forwarder.forward(request())
    assert isinstance(answer, StreamingResponse)
    assert list(answer.headers) == [(b"content-type", b"text/event-stream")]
    assert await anext(answer.chunks) == b"data: 1\n\n"
    read.set()
    assert await anext(answer.chunks) == b"data: 2\n\n"
    read.set()
    with pytest.raises(StopAsyncIteration):
        await anext(answer.chunks)


ANSWERS = {
    "204": (b"204 No Content\r\nContent-Length: 0", 204, []),
    "304": (b"304 Not Modified\r\nETag: x\r\nContent-Length: 7", 304, [(b"etag", b"x")]),
    "redirect": (
        b"302 Found\r\nLocation: /b\r\nContent-Length: 0",
        302,
        [(b"location", b"/b"), (b"content-length", b"0")],
    ),
    "cookies": (
        b"200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\nServer: x\r\nDate: y",
        200,
        [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"content-length", b"0")],
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_answers_come_back_as_they_are(stock: ScriptedStock, forwarder: Forwarder, name: str) -> None:
    head, status, headers = ANSWERS[name]
    stock.script = answering(b"HTTP/1.1 " + head + b"\r\n\r\n")
    for _ in range(2):
        answer = await forwarder.forward(request())
        assert (answer.status, list(answer.headers), await body_of(answer)) == (status, headers, b"")
    assert stock.connections == 1


async def test_head_keeps_the_length_of_the_body_it_has_not(stock: ScriptedStock, forwarder: Forwarder) -> None:
    stock.script = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n")
    answer = await forwarder.forward(request("HEAD"))
    assert (list(answer.headers), await body_of(answer)) == ([(b"content-length", b"7")], b"")


async def test_a_compressed_answer_stays_compressed(stock: ScriptedStock, forwarder: Forwarder) -> None:
    stock.script = answering(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08")
    assert await body_of(await forwarder.forward(request())) == b"\x1f\x8b\x08"


class TestStockAway:
    async def test_a_request_waits_for_a_stock_that_starts(self, stock: ScriptedStock, forwarder: Forwarder) -> None:
        await stock.stop()
        assert await forwarder.state() is StockState.STARTING
        waiting = asyncio.create_task(forwarder.forward(request("POST", body=b"once")))
        await asyncio.sleep(0.3)
        assert stock.directory.wanted.exists()
        received: list[bytes] = []

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            received.append(await reader.readexactly(4))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        stock.script = script
        await stock.start()
        assert (await waiting).status == 200
        assert received == [b"once"]

    async def test_one_that_does_not_come_is_503(self, stock: ScriptedStock) -> None:
        await stock.stop()
        stock.directory.was_ready.touch()
        forwarder = Forwarder(StockSettings(socket_directory=stock.directory.path, start_timeout=0.3))
        with pytest.raises(Unavailable) as caught:
            await forwarder.forward(request())
        assert caught.value.status == 503
        assert dict(caught.value.headers)[b"retry-after"]
        assert await forwarder.state() is StockState.RESTARTING

    async def test_turned_off_is_503_at_once(self) -> None:
        forwarder = Forwarder(StockSettings(enabled=False))
        assert await forwarder.state() is StockState.OFF
        with pytest.raises(Unavailable):
            await forwarder.forward(request())

    async def test_ready_when_it_answers(self, stock: ScriptedStock, forwarder: Forwarder) -> None:
        assert await forwarder.state() is StockState.READY

    @pytest.mark.parametrize(("method", "tries"), [("GET", 2), ("HEAD", 2), ("PUT", 1), ("DELETE", 1), ("POST", 1)])
    async def test_only_a_read_is_tried_again(
        self, stock: ScriptedStock, forwarder: Forwarder, method: str, tries: int
    ) -> None:
        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)

        stock.script = hang_up
        with pytest.raises(Unavailable):
            await forwarder.forward(request(method))
        assert stock.connections == tries

    async def test_a_read_with_a_body_is_not(self, stock: ScriptedStock, forwarder: Forwarder) -> None:
        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)

        stock.script = hang_up
        with pytest.raises(Unavailable):
            await forwarder.forward(request(body=b"query"))
        assert stock.connections == 1

    async def test_an_answer_that_breaks_off_is_not_a_short_answer(
        self, stock: ScriptedStock, forwarder: Forwarder
    ) -> None:
        async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhalf")
            await writer.drain()

        stock.script = half
        answer = await forwarder.forward(request("POST"))
        with pytest.raises(ConnectionLost):
            await body_of(answer)

    async def test_a_short_answer_that_breaks_off_is_503(self, stock: ScriptedStock, forwarder: Forwarder) -> None:
        async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            await writer.drain()

        stock.script = half
        with pytest.raises(Unavailable):
            await forwarder.forward(request("POST"))


class TestClientAway:
    async def test_while_stock_thinks(self, stock: ScriptedStock, forwarder: Forwarder) -> None:
        gone = asyncio.Event()
        asked = asyncio.Event()

        async def think(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            asked.set()
            await reader.readexactly(1)

        stock.script = think
        waiting = asyncio.create_task(forwarder.forward(request("POST", wait_disconnect=until(gone))))
        await asked.wait()
        gone.set()
        with pytest.raises(ClientDisconnected):
            await waiting
        await asyncio.wait_for(stock.ended.wait(), 5)

    async def test_in_the_middle_of_the_answer(self, stock: ScriptedStock, forwarder: Forwarder) -> None:
        gone = asyncio.Event()

        async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
            await reader.readexactly(1)

        stock.script = drip
        answer = await forwarder.forward(request(wait_disconnect=until(gone)))
        assert isinstance(answer, StreamingResponse)
        assert await anext(answer.chunks) == b"a"
        asyncio.get_running_loop().call_later(0.1, gone.set)
        with pytest.raises(ClientDisconnected):
            await anext(answer.chunks)
        await asyncio.wait_for(stock.ended.wait(), 5)

    async def test_in_the_middle_of_its_body(self, stock: ScriptedStock, forwarder: Forwarder) -> None:
        async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            await reader.readexactly(100)

        async def half() -> AsyncIterator[bytes]:
            yield b"half"
            raise ClientDisconnected

        stock.script = swallow
        with pytest.raises(ClientDisconnected):
            await forwarder.forward(request("POST", body=half(), headers=((b"content-length", b"100"),)))
        await asyncio.wait_for(stock.ended.wait(), 5)

    async def test_a_stalled_body_is_told_as_what_it_is(self, stock: ScriptedStock, forwarder: Forwarder) -> None:
        async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            await reader.readexactly(100)

        async def stalled() -> AsyncIterator[bytes]:
            yield b"half"
            raise MlflowError("stalled", status=408)

        stock.script = swallow
        with pytest.raises(MlflowError, match="stalled"):
            await forwarder.forward(request("POST", body=stalled(), headers=((b"content-length", b"100"),)))

    async def test_closing_the_chunks_early_ends_the_connection(
        self, stock: ScriptedStock, forwarder: Forwarder
    ) -> None:
        async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
            await reader.readexactly(1)

        stock.script = drip
        answer = await forwarder.forward(request())
        assert not isinstance(answer, Response)
        close = getattr(answer.chunks, "aclose", None)
        assert close is not None
        await close()
        await asyncio.wait_for(stock.ended.wait(), 5)
