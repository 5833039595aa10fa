"""The limit of the database: the same rows by asyncpg alone, without HTTP; a process of its own.

    python -m bench.driver < task.json

Statements are as one would write them by hand: one round trip, rows as arrays, committed by themselves. With
``together`` = n each statement carries the rows of n requests, as a server that gathers requests would write them.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any, Literal

import asyncpg
import msgspec
import uvloop
from asyncpg.prepared_stmt import PreparedStatement

_METRICS = """
WITH history AS (
    INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan)
    SELECT * FROM unnest($1::text[], $2::text[], $3::float8[], $4::int8[], $5::int8[], $6::bool[])
        ON CONFLICT DO NOTHING
)
INSERT INTO latest_metrics (run_uuid, key, value, timestamp, step, is_nan)
SELECT * FROM unnest($1::text[], $2::text[], $3::float8[], $4::int8[], $5::int8[], $6::bool[])
    ON CONFLICT (key, run_uuid) DO UPDATE
   SET value = excluded.value, timestamp = excluded.timestamp, step = excluded.step, is_nan = excluded.is_nan
 WHERE (excluded.step, excluded.timestamp, excluded.value)
     > (latest_metrics.step, latest_metrics.timestamp, latest_metrics.value)
"""
_PARAMS = """
INSERT INTO params (run_uuid, key, value)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) ON CONFLICT DO NOTHING
"""


class Task(msgspec.Struct):
    """``connections`` clients for ``seconds``; ``number`` is the first step. ``runs`` are the runs to write to."""

    uri: str
    table: Literal["metrics", "params"]
    rows: int
    connections: int
    together: int
    seconds: float
    number: int
    runs: list[str]


class Outcome(msgspec.Struct):
    """``requests`` are those whose rows were committed; latencies are those of the statements."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_seconds: float
    next_number: int


class _Writer:
    def __init__(self, task: Task) -> None:
        self._task = task
        self._number = task.number
        self._next_run = 0
        self.latencies: list[float] = []

    @property
    def number(self) -> int:
        return self._number

    async def write(self, statement: PreparedStatement[Any], runs: list[str], deadline: float) -> None:
        """Runs a connection's statement until ``deadline``, once at least; ``runs`` belong to it alone."""
        task = self._task
        # Of more runs than one statement writes to, each has its turn.
        groups = [runs[start : start + task.together] for start in range(0, len(runs), task.together)]
        groups = [group for group in groups if len(group) == task.together]
        columns = [self._columns(group) for group in groups[:64]] if task.table == "metrics" else []
        turn = 0
        while turn == 0 or time.perf_counter() < deadline:
            if task.table == "params" and turn == len(groups):
                return
            started = time.perf_counter()
            if task.table == "metrics":
                run_ids, keys, false = columns[turn % len(columns)]
                self._number += 1
                count = len(run_ids)
                value, timestamp = self._number / 1e9, 1_800_000_000_000 + self._number
                arrays = [run_ids, keys, [value] * count, [timestamp] * count, [self._number] * count, false]
            else:
                arrays = list(self._params(groups[turn]))
            await statement.fetch(*arrays)
            self.latencies.append(time.perf_counter() - started)
            turn += 1

    def _columns(self, runs: list[str]) -> tuple[list[str], list[str], list[bool]]:
        keys = sorted(f"metric_{number}" for number in range(1, self._task.rows + 1))
        # In the order of the indexes, as a careful author would write them.
        names = [(run, key) for run in sorted(runs) for key in keys]
        return [run for run, _ in names], [key for _, key in names], [False] * len(names)

    def _params(self, runs: list[str]) -> tuple[list[str], list[str], list[str]]:
        rows = [
            (run, f"batch_{number}", f"value {number}") for run in sorted(runs) for number in range(self._task.rows)
        ]
        run_ids, keys, values = zip(*rows, strict=True)
        return list(run_ids), list(keys), list(values)


async def _run(task: Task) -> Outcome:
    clients = max(1, task.connections // task.together)
    writer = _Writer(task)
    connections = [await asyncpg.connect(task.uri) for _ in range(clients)]
    # No two connections write to one run, so that none waits for another's lock.
    shares = [sorted(task.runs)[number::clients] for number in range(clients)]
    text = _METRICS if task.table == "metrics" else _PARAMS
    statements = [await connection.prepare(text) for connection in connections]
    cpu, started = time.process_time(), time.perf_counter()
    deadline = started + task.seconds
    await asyncio.gather(*(writer.write(each, share, deadline) for each, share in zip(statements, shares, strict=True)))
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    for connection in connections:
        await connection.close()
    ordered = sorted(writer.latencies)
    return Outcome(
        requests=len(ordered) * task.together,
        seconds=seconds,
        p50_ms=1000 * ordered[len(ordered) // 2],
        p99_ms=1000 * ordered[len(ordered) * 99 // 100],
        cpu_seconds=cpu,
        next_number=writer.number,
    )


def main() -> None:
    """Prints the outcome as JSON."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    sys.stdout.write(msgspec.json.encode(uvloop.run(_run(task))).decode() + "\n")


if __name__ == "__main__":
    main()
