"""One large artifact up and down through each server, by a client that streams it; and by the SDK itself."""

from __future__ import annotations

import http.client
import os
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from bench import usage
from bench.contestants import Contestant, SdkAlone, ServerSide
from bench.results import OURS, SDK, Results, Transfer

_MEBIBYTE = 2**20
_PATH = "/api/2.0/mlflow-artifacts/artifacts/large/object.bin"

Direction = Literal["up", "down"]
_DIRECTIONS: tuple[Direction, ...] = ("up", "down")


def measure_transfers(
    contestants: Sequence[Contestant],
    folder: Path,
    mib: int,
    rounds: int,
    results: Results,
    say: Callable[[str], None],
) -> None:
    """Rounds in turns, each up and then down. What comes back is compared with what went up once a server."""
    file = folder / "large.bin"
    _write(file, mib)
    checksum = _checksum_of(file)
    for number in range(rounds):
        for one in contestants:
            if number >= one.rounds:
                continue
            for direction in _DIRECTIONS:
                if isinstance(one, ServerSide):
                    found = _through(one, file, mib, direction)
                elif isinstance(one, SdkAlone):
                    found = _alone(one, file, mib, direction)
                else:
                    continue
                results.transfers.append(found)
                growth = "" if found.growth_mib is None else f", {found.growth_mib:.0f} MiB more memory"
                say(f"{mib} MiB {direction}: {found.contestant} {found.seconds:.2f} s, {found.rate:.0f} MiB/s{growth}")
    for one in contestants:
        if isinstance(one, ServerSide) and _checksum_through(one) != checksum and one.name == OURS:
            results.failures.append(f"{mib} MiB artifact: what came back is not what went up")


def _through(side: ServerSide, file: Path, mib: int, direction: Direction) -> Transfer:
    peak = usage.Peak(side.server)
    cpu = usage.cpu_seconds(side.server)
    with peak.watch():
        started = time.perf_counter()
        _upload(side.server.url, file) if direction == "up" else _download(side.server.url, mib * _MEBIBYTE)
        seconds = time.perf_counter() - started
    return Transfer(
        contestant=side.name,
        direction=direction,
        mib=mib,
        seconds=seconds,
        growth_mib=peak.growth,
        server_cpu_seconds=usage.cpu_seconds(side.server) - cpu,
    )


def _alone(alone: SdkAlone, file: Path, mib: int, direction: Direction) -> Transfer:
    outcome = alone.copy(direction, mib * _MEBIBYTE, file=str(file))
    return Transfer(contestant=SDK, direction=direction, mib=mib, seconds=outcome.seconds)


def _upload(url: str, file: Path) -> None:
    with closing(_connection(url)) as connection, file.open("rb") as content:
        connection.putrequest("PUT", _PATH)
        connection.putheader("Content-Length", str(file.stat().st_size))
        connection.putheader("Content-Type", "application/octet-stream")
        connection.endheaders()
        # The kernel sends it: the client takes as little from the server's cores as it can.
        connection.sock.sendfile(content)
        _check(connection.getresponse())


def _download(url: str, size: int, seen: Callable[[memoryview], None] = lambda chunk: None) -> None:
    with closing(_connection(url)) as connection:
        connection.request("GET", _PATH)
        response = connection.getresponse()
        buffer = memoryview(bytearray(_MEBIBYTE))
        received = 0
        while count := response.readinto(buffer):
            seen(buffer[:count])
            received += count
        _check(response)
        if size and received != size:
            raise RuntimeError(f"{url} sent {received} bytes instead of {size}")


def _connection(url: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(url).netloc, timeout=600)


def _check(response: http.client.HTTPResponse) -> None:
    if response.status // 100 != 2:
        raise RuntimeError(f"a large artifact was answered {response.status}")


def _checksum_through(side: ServerSide) -> int:
    checksum = 0

    def seen(chunk: memoryview) -> None:
        nonlocal checksum
        checksum = zlib.crc32(chunk, checksum)

    _download(side.server.url, 0, seen)
    return checksum


def _write(file: Path, mib: int) -> None:
    block = os.urandom(_MEBIBYTE - 8)
    with file.open("wb") as output:
        for number in range(mib):
            output.write(number.to_bytes(8, "big") + block)


def _checksum_of(file: Path) -> int:
    checksum = 0
    with file.open("rb") as content:
        while block := content.read(_MEBIBYTE):
            checksum = zlib.crc32(block, checksum)
    return checksum
