"""Dispatches a charm from a Python that has imported the charm's libraries already.

Importing ops, lightkube and their kin takes most of a hook's time. This process does it once per unit, then forks for
every hook: the fork reads and runs the charm's own files anew. Only libraries are shared, never the charm's modules.

Started by ``pod.py`` as the charm's user with the names of modules to import and a socket's path.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import socket
import sys
import traceback
from contextlib import suppress
from typing import TypedDict


class Request(TypedDict):
    """One hook: ``program`` is run in ``folder``; its output goes to the file that comes along."""

    program: str
    folder: str
    environment: dict[str, str]


def main() -> None:
    path, *modules = sys.argv[1:]
    for name in modules:
        importlib.import_module(name)
    gc.freeze()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o666)  # noqa: S103, PTH101 - whoever sees the pod's folder is the test
    listener.listen()
    while True:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            content, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, 1)
            code = dispatch(json.loads(content), descriptors[0])
            os.close(descriptors[0])
            connection.sendall(str(code).encode())


def dispatch(request: Request, output: int) -> int:
    """Runs the charm in a fork; its exit status."""
    child = os.fork()
    if child == 0:
        os._exit(run(request, output))
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def run(request: Request, output: int) -> int:
    os.setsid()
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.argv = [request["program"]]
    sys.path[:0] = [os.path.dirname(request["program"]), *request["environment"]["PYTHONPATH"].split(":")]  # noqa: PTH120
    code = 0
    try:
        runpy.run_path(request["program"], run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    main()
