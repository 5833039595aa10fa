"""Load by wrk: some seconds over so many connections, and what came of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_DONE = """
done = function(summary, latency, requests)
  io.stderr:write(string.format(
    '{"requests": %d, "microseconds": %d, "bad_status": %d, "socket_errors": %d, "p50": %d, "p99": %d}',
    summary.requests, summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""
_TIMEOUT = 30


@dataclass(frozen=True, slots=True)
class Load:
    """One wrk's outcome: ``requests`` answered, of them ``bad_status`` not 2xx; latencies in milliseconds.

    ``socket_errors`` counts connections lost and answers that took longer than 30 s.
    """

    requests: int
    seconds: float
    bad_status: int
    socket_errors: int
    p50_ms: float
    p99_ms: float
    cpu_seconds: float


def find_wrk() -> Path:
    """wrk's program. Raises FileNotFoundError with what to install."""
    found = shutil.which("wrk")
    if found is None:
        raise FileNotFoundError("the benchmark needs the load generator wrk: apt-get install wrk")
    return Path(found)


def run(url: str, programs: Sequence[tuple[str, int]], seconds: int) -> list[Load]:
    """Runs a wrk of one thread for each (Lua program, connections), all at once."""
    wrk = find_wrk()
    with tempfile.TemporaryDirectory(prefix="bench-wrk-") as folder:
        started = []
        for number, (program, connections) in enumerate(programs):
            path = Path(folder, f"{number}.lua")
            path.write_text(program + _DONE)
            options: list[str | Path] = [
                "-t1",
                f"-c{connections}",
                f"-d{seconds}s",
                "--timeout",
                f"{_TIMEOUT}s",
                "-s",
                path,
            ]
            output = path.with_suffix(".json").open("wb")
            started.append((subprocess.Popen([wrk, *options, url], stdout=subprocess.DEVNULL, stderr=output), path))
            output.close()
        return [_outcome(process, path.with_suffix(".json"), seconds) for process, path in started]


def _outcome(process: subprocess.Popen[bytes], output: Path, seconds: int) -> Load:
    deadline = time.monotonic() + seconds + 2 * _TIMEOUT
    # Not Popen.wait, which does not tell the processor time.
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        if time.monotonic() > deadline:
            process.kill()
        time.sleep(0.005)
    process.returncode = os.waitstatus_to_exitcode(status)
    text = output.read_text()
    if process.returncode or not text.strip():
        raise RuntimeError(f"wrk ended with {process.returncode}: {text}")
    found = json.loads(text.strip().splitlines()[-1])
    return Load(
        requests=found["requests"],
        seconds=found["microseconds"] / 1e6,
        bad_status=found["bad_status"],
        socket_errors=found["socket_errors"],
        p50_ms=found["p50"] / 1000,
        p99_ms=found["p99"] / 1000,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
    )
