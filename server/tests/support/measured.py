"""A command run to its end, and what it took."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# Linux counts to a process's peak what its parent held when it was started: the parent has to be a small one.
_SMALL_PARENT = """
import json, os, subprocess, sys
_, status, usage = os.wait4(subprocess.Popen(sys.argv[1:], stderr=subprocess.STDOUT).pid, 0)
print()
print(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]))
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """``cpu_seconds`` and ``peak_mib`` are those of the process itself, children that it waited for included."""

    code: int
    seconds: float
    cpu_seconds: float
    peak_mib: float
    output: str


def run_measured(command: Sequence[str | Path], environment: Mapping[str, str]) -> Measured:
    """Runs ``command`` in ``environment``; ``output`` is what it printed and reported, mixed."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _SMALL_PARENT, *command],
        env=dict(environment),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds = time.monotonic() - began
    output, _, last = done.stdout.rstrip("\n").rpartition("\n")
    code, cpu_seconds, peak_mib = json.loads(last)
    return Measured(code, seconds, cpu_seconds, peak_mib, output.removesuffix("\n"))
