"""What a client may send before a request exists, seen through raw sockets."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest
import uvloop

from tracking_server.config import LimitSettings
from unit.http.conftest import Serving

GET = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


async def test_a_request_is_answered_and_the_connection_kept(serving: Serving) -> None:
    client = await serving.connect()
    for _ in range(3):
        await client.send(POST % (b"a", 5) + b"hello")
        answer = await client.answer()
        assert (answer.status, answer.body) == (200, b"hello")
    assert "server" not in answer.headers or answer.headers["server"] == "uvicorn"


@pytest.mark.parametrize("in_one_write", [True, False])
async def test_headers_above_the_limit_are_431(serving: Serving, in_one_write: bool) -> None:
    client = await serving.connect()
    head = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"v" * 200) for n in range(100)) + b"\r\n"
    for part in [head] if in_one_write else [head[at : at + 1000] for at in range(0, len(head), 1000)]:
        await client.send(part)
        await asyncio.sleep(0)
    answer = await client.answer()
    assert (answer.status, answer.error_code, answer.headers["connection"]) == (431, "BAD_REQUEST", "close")
    await client.ended()
    assert serving.app.seen == []


async def test_one_header_line_without_end_is_431_and_the_client_hears_it(serving: Serving) -> None:
    client = await serving.connect()
    await client.send(b"GET / HTTP/1.1\r\nX: ")
    # Far more than the socket buffers hold: without reading on, the answer would be lost to a reset.
    await client.send(b"v" * 3_000_000)
    assert (await client.answer()).status == 431


async def test_a_url_above_half_the_limit_is_414(serving: Serving) -> None:
    client = await serving.connect()
    await client.send(GET % (b"u" * 4096))
    answer = await client.answer()
    assert (answer.status, answer.error_code) == (414, "BAD_REQUEST")


async def test_the_limit_counts_one_request_and_not_the_connection_or_the_body(serving: Serving) -> None:
    client = await serving.connect()
    for _ in range(30):
        await client.send(b"POST /a HTTP/1.1\r\nHost: x\r\nX: %s\r\nContent-Length: 20000\r\n\r\n" % (b"v" * 4000))
        await client.send(b"b" * 20000)
        assert (await client.answer()).status == 200


class TestSlowClients:
    @pytest.fixture
    def limits(self) -> LimitSettings:
        return LimitSettings(max_header=8192, header_timeout=0.5)

    async def test_a_header_that_trickles_in_is_408(self, serving: Serving) -> None:
        client = await serving.connect()
        began = time.monotonic()
        trickle = asyncio.create_task(self._trickle(client.send))
        answer = await client.answer()
        trickle.cancel()
        assert (answer.status, answer.error_code) == (408, "BAD_REQUEST")
        assert 0.4 < time.monotonic() - began < 3

    async def test_a_connection_that_says_nothing_is_closed_without_a_word(self, serving: Serving) -> None:
        client = await serving.connect()
        assert await client.ended() == b""

    async def test_empty_lines_do_not_hold_a_kept_connection_open(self, serving: Serving) -> None:
        client = await serving.connect()
        await client.send(GET % b"a")
        await client.answer()
        await client.send(b"\r\n")
        await client.ended()

    async def test_a_slow_body_is_not_the_header_timers_business(self, serving: Serving) -> None:
        client = await serving.connect()
        await client.send(POST % (b"a", 2) + b"h")
        await asyncio.sleep(1)
        await client.send(b"i")
        assert (await client.answer()).body == b"hi"

    async def test_a_slow_answer_is_not_either(self, serving: Serving) -> None:
        client = await serving.connect()
        await client.send(GET % b"slow")
        await asyncio.sleep(1)
        serving.app.released.set()
        assert (await client.answer()).status == 200

    @staticmethod
    async def _trickle(send: object) -> None:
        assert callable(send)
        for byte in b"GET / HTTP/1.1\r\n" + b"X: " + b"v" * 1000:
            await send(bytes([byte]))
            await asyncio.sleep(0.02)


MALFORMED = {
    "no-http": b"hello\r\n\r\n",
    "tls-hello": bytes.fromhex("16030100a5010000a10303") + b"\0" * 50,
    "http2-preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "bad-version": b"GET / HTTP/9.9\r\n\r\n",
    "space-in-url": b"GET /a b HTTP/1.1\r\n\r\n",
    "latin-1-url": b"GET /\xe9 HTTP/1.1\r\nHost: x\r\n\r\n",
    "nul-in-header": b"GET / HTTP/1.1\r\nX: a\0b\r\n\r\n",
    "space-before-colon": b"GET / HTTP/1.1\r\nX : a\r\n\r\n",
    "bare-cr-in-header": b"GET / HTTP/1.1\r\nX: a\rY: b\r\n\r\n",
    "length-and-chunked": b"POST /a HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two-lengths": b"POST /a HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "negative-length": b"POST /a HTTP/1.1\r\nContent-Length: -3\r\n\r\n",
    "length-list": b"POST /a HTTP/1.1\r\nContent-Length: 3,3\r\n\r\nabc",
    "huge-length": b"POST /a HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    "chunked-not-last": b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
    "connect": b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_what_is_not_http_is_400(serving: Serving, name: str) -> None:
    client = await serving.connect()
    await client.send(MALFORMED[name])
    answer = await client.answer()
    assert (answer.status, answer.error_code, answer.headers["connection"]) == (400, "BAD_REQUEST", "close")
    await client.ended()
    assert serving.app.seen == []


async def test_a_broken_chunk_is_400_and_the_request_ends_as_disconnected(serving: Serving) -> None:
    client = await serving.connect()
    await client.send(b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    await asyncio.sleep(0.1)
    await client.send(b"zz\r\n")
    assert (await client.answer()).status == 400
    await client.ended()
    assert serving.app.disconnected == ["/a"]


async def test_a_broken_chunk_after_the_answer_began_ends_the_connection(serving: Serving) -> None:
    client = await serving.connect()
    await client.send(b"POST /stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    await client.reader.readuntil(b"begun\r\n")
    await client.send(b"zz\r\n")
    assert await client.ended() == b""
    assert serving.app.disconnected == ["/stream"]


async def test_pipelined_requests_are_answered_in_order(serving: Serving) -> None:
    client = await serving.connect()
    await client.send(b"".join(POST % (b"a", 1) + b"%d" % number for number in range(5)))
    assert [(await client.answer()).body for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize("broken", [b"nonsense\r\n\r\n", b"GET /x HTTP/1.1\r\nX: " + b"v" * 9000])
async def test_what_is_broken_behind_a_request_does_not_disturb_its_answer(serving: Serving, broken: bytes) -> None:
    client = await serving.connect()
    await client.send(POST % (b"slow", 2) + b"ok" + POST % (b"next", 2) + b"ko" + broken)
    await asyncio.sleep(0.1)
    serving.app.released.set()
    assert [(await client.answer()).body for _ in range(2)] == [b"ok", b"ko"]
    rest = await client.ended()
    assert rest == b"" or rest.startswith(b"HTTP/1.1 4")
    assert serving.app.seen == ["/slow", "/next"]


async def test_expect_is_answered_when_the_body_is_wanted(serving: Serving) -> None:
    client = await serving.connect()
    await client.send(b"POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    await client.send(b"ok")
    assert (await client.answer()).body == b"ok"


async def test_a_client_that_leaves_ends_its_request(serving: Serving) -> None:
    client = await serving.connect()
    await client.send(POST % (b"a", 10) + b"half")
    await asyncio.sleep(0.1)
    client.writer.write_eof()
    await client.ended()
    await asyncio.sleep(0.1)
    assert serving.app.disconnected == ["/a"]


class TestStopping:
    async def test_a_connection_just_accepted_gets_its_answer(self, serving: Serving) -> None:
        client = await serving.connect()
        await asyncio.sleep(0.1)
        serving.server.should_exit = True
        await asyncio.sleep(0.2)
        await client.send(GET % b"a")
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await client.ended() == b""

    async def test_one_that_stays_silent_is_closed(self, serving: Serving) -> None:
        client = await serving.connect()
        await asyncio.sleep(0.1)
        serving.server.should_exit = True
        assert await client.ended() == b""

    async def test_a_request_in_progress_is_answered_and_an_idle_connection_closed(self, serving: Serving) -> None:
        busy, idle = await serving.connect(), await serving.connect()
        await idle.send(GET % b"a")
        await idle.answer()
        await busy.send(GET % b"slow")
        await asyncio.sleep(0.1)
        serving.server.should_exit = True
        assert await idle.ended() == b""
        serving.app.released.set()
        assert (await busy.answer()).headers["connection"] == "close"


@pytest.mark.parametrize("upgrade", [b"websocket", b"h2c"])
async def test_an_upgrade_is_ignored_and_the_connection_serves_on(serving: Serving, upgrade: bytes) -> None:
    client = await serving.connect()
    await client.send(b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n" % upgrade)
    assert (await client.answer()).status == 200
    await client.send(GET % b"b")
    assert (await client.answer()).status == 200


async def test_more_requests_than_the_limit_are_503_at_once(serving: Serving) -> None:
    waiting = [await serving.connect() for _ in range(8)]
    for client in waiting:
        await client.send(GET % b"slow")
    await asyncio.sleep(0.2)
    late = await serving.connect()
    await late.send(GET % b"a")
    answer = await late.answer()
    assert (answer.status, answer.error_code) == (503, "TEMPORARILY_UNAVAILABLE")
    assert answer.headers["retry-after"] == "1"
    serving.app.released.set()
    assert [(await client.answer()).status for client in waiting] == [200] * 8


def test_small_answers_are_not_held_back() -> None:
    """uvloop, which the workers run on, sets TCP_NODELAY; without it every kept connection waits 40 ms."""

    async def accepted() -> int:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[int] = loop.create_future()

        class Look(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                raw = transport.get_extra_info("socket")
                found.set_result(raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
                transport.close()

        server = await loop.create_server(Look, "127.0.0.1", 0)
        await asyncio.open_connection(*server.sockets[0].getsockname())
        return await found

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(accepted()) != 0
