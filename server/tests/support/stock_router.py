"""Asks the installed MLflow's routers, in a process of their own, which route a request would take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

PROGRAM = Path(__file__).with_name("stock_router_process.py")


class StockRouter:
    """A running ``stock_router_process``; use as a context manager. ``routes`` lists what stock serves."""

    def __init__(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "_MLFLOW"))}
        self._process = subprocess.Popen(
            [sys.executable, str(PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**environment, "MLFLOW_DISABLE_TELEMETRY": "true"},
            text=True,
        )
        self.routes: list[dict[str, Any]] = self._read()

    def ask(self, what: str, requests: list[tuple[str, str]]) -> list[dict[str, Any]]:
        """The answers to ``what`` ("resolve" or "answer") for each (method, path)."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([[what, *request] for request in requests]) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> list[dict[str, Any]]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"{PROGRAM.name} ended with {self._process.wait()}"
        answers: list[dict[str, Any]] = json.loads(line)
        return answers

    def __enter__(self) -> StockRouter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=10)
