"""The limit of the artifact store: the same objects copied by an S3 SDK (obstore) itself; a process of its own.

python -m bench.sdk < task.json
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Literal

import msgspec
import obstore
import uvloop
from obstore.store import S3Store


class Task(msgspec.Struct):
    """``connections`` clients copy objects of ``size`` bytes for ``seconds``; or, with ``file``, that file once."""

    endpoint: str
    region: str
    access_key: str
    secret_key: str
    bucket: str
    direction: Literal["up", "down"]
    size: int
    connections: int = 1
    seconds: float = 0.0
    file: str = ""

    def store(self) -> S3Store:
        return S3Store(
            self.bucket,
            endpoint=self.endpoint,
            region=self.region,
            access_key_id=self.access_key,
            secret_access_key=self.secret_key,
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
        )


class Outcome(msgspec.Struct):
    """What was copied; latencies of one object."""

    objects: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_seconds: float


async def _down(store: S3Store, path: str, size: int) -> None:
    received = 0
    async for chunk in (await obstore.get_async(store, path)).stream():
        received += len(chunk)
    if received != size:
        raise RuntimeError(f"{received} bytes instead of {size}")


async def _run(task: Task) -> Outcome:
    store = task.store()
    latencies: list[float] = []
    body = b"artifact" * (task.size // 8) if not task.file else b""
    if task.direction == "down" and not task.file:
        await obstore.put_async(store, "sdk/0", body)

    async def once(client: int) -> None:
        started = time.perf_counter()
        if task.direction == "down":
            await _down(store, "sdk/large" if task.file else "sdk/0", task.size)
        elif task.file:
            await obstore.put_async(store, "sdk/large", Path(task.file))
        else:
            await obstore.put_async(store, f"sdk/{client}", body)
        latencies.append(time.perf_counter() - started)

    async def client(number: int, deadline: float) -> None:
        await once(number)
        while time.perf_counter() < deadline:
            await once(number)

    cpu, started = time.process_time(), time.perf_counter()
    deadline = started + task.seconds
    await asyncio.gather(*(client(number, deadline) for number in range(task.connections)))
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    ordered = sorted(latencies)
    p50, p99 = (1000 * ordered[len(ordered) * share // 100] for share in (50, 99))
    return Outcome(objects=len(ordered), seconds=seconds, p50_ms=p50, p99_ms=p99, cpu_seconds=cpu)


def main() -> None:
    """Prints the outcome as JSON."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    sys.stdout.write(msgspec.json.encode(uvloop.run(_run(task))).decode() + "\n")


if __name__ == "__main__":
    main()
