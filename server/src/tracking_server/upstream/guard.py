"""Runs a command, and ends it with all it started when the process that started the guard goes away.

    python guard.py GRACE COMMAND [ARGUMENT…]

Standard input is a pipe that the parent holds open: its end, however the parent died, ends the command's process
group, politely first and after GRACE seconds for certain. The command's own end does the same at once, because stock
MLflow killed outright leaves its children behind. Works wherever there are pipes, and imports nothing of ours.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading


def _end_with(child: subprocess.Popen[bytes]) -> None:
    code = child.wait()
    print(f"ended with exit code {code}", file=sys.stderr, flush=True)
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    grace = float(sys.argv[1])
    child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL)
    # Only now: the child would inherit it.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(child,), daemon=True).start()
    os.read(0, 1)
    os.killpg(0, signal.SIGTERM)
    try:
        child.wait(grace)
    finally:
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
