"""Load by wrk: one scenario for some seconds over so many connections, and what came of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
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


@dataclass(frozen=True, slots=True)
class Load:
    """The outcome of one round: ``requests`` answered, of them ``bad_status`` not 2xx; latencies in milliseconds."""

    requests: int
    seconds: float
    bad_status: int
    socket_errors: int
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return (self.requests - self.bad_status) / self.seconds


def find_wrk() -> Path:
    """wrk's program. Raises FileNotFoundError with what to install."""
    found = shutil.which("wrk")
    if found is None:
        raise FileNotFoundError("the benchmark needs the load generator wrk: apt-get install wrk")
    return Path(found)


def run(url: str, script: str, connections: int, seconds: int) -> Load:
    """Runs wrk with one thread against ``url``; ``script`` is Lua that defines ``request``."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script + _DONE)
        file.flush()
        options = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", file.name]
        done = subprocess.run([find_wrk(), *options, url], capture_output=True, text=True, check=True)
    found = json.loads(done.stderr.strip().splitlines()[-1])
    return Load(
        requests=found["requests"],
        seconds=found["microseconds"] / 1e6,
        bad_status=found["bad_status"],
        socket_errors=found["socket_errors"],
        p50_ms=found["p50"] / 1000,
        p99_ms=found["p99"] / 1000,
    )
