"""Stock MLflow, the specification that we are compared with."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from support.processes import LOCALHOST, ServerProcess, http_status, plain_environment


class StockServer(ServerProcess):
    """``mlflow server`` in one worker, without telemetry and background jobs.

    ``environment`` and ``arguments`` are added to its own. It runs on uvloop, as that package is installed. ``python``
    names another interpreter, whose MLflow is then the one that serves.
    """

    name = "stock"

    def __init__(
        self,
        folder: Path,
        *,
        backend_store_uri: str,
        artifacts_destination: str,
        workers: int = 1,
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        python: Path = Path(sys.executable),
    ) -> None:
        super().__init__(folder)
        self._uris = ("--backend-store-uri", backend_store_uri, "--artifacts-destination", artifacts_destination)
        self._workers = workers
        self._environment = dict(environment or {})
        self._arguments = arguments
        self._python = python

    def command(self) -> Sequence[str | Path]:
        address = ("--host", LOCALHOST, "--port", str(self.port), "--workers", str(self._workers))
        return [self._python, "-m", "mlflow", "server", *self._uris, *address, *self._arguments]

    def environment(self) -> Mapping[str, str]:
        # Older releases look for gunicorn on the path.
        path = os.pathsep.join((str(self._python.parent), os.environ.get("PATH", os.defpath)))
        fixed = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PATH": path}
        return plain_environment(fixed | self._environment)

    def is_ready(self) -> bool:
        return http_status(self.port, "/health") == 200
