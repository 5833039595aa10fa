"""How stock MLflow is started: its command line, which anyone may read, and its environment, which holds secrets."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from tracking_server.config import Config

# Longer than the forwarder keeps an idle connection, so that stock never closes one that is about to be used.
_KEEP_ALIVE_SECONDS = 75

# Variables that mlflow/cli/__init__.py and mlflow/utils/cli_args.py read as options of `mlflow server`. One that is
# set for another server, or for the client in the same shell, must not change ours.
_OPTION_VARIABLES = frozenset(
    {
        *("MLFLOW_BACKEND_STORE_URI", "MLFLOW_READ_REPLICA_BACKEND_STORE_URI", "MLFLOW_REGISTRY_STORE_URI"),
        *("MLFLOW_DEFAULT_ARTIFACT_ROOT", "MLFLOW_ARTIFACTS_DESTINATION", "MLFLOW_SERVE_ARTIFACTS"),
        *("MLFLOW_ARTIFACTS_ONLY", "MLFLOW_STATIC_PREFIX", "MLFLOW_HOST", "MLFLOW_PORT", "MLFLOW_WORKERS"),
        *("MLFLOW_GUNICORN_OPTS", "MLFLOW_UVICORN_OPTS", "MLFLOW_EXPOSE_PROMETHEUS", "FORWARDED_ALLOW_IPS"),
        *("MLFLOW_SERVER_ALLOWED_HOSTS", "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS", "MLFLOW_SERVER_X_FRAME_OPTIONS"),
        *("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME"),
        *("MLFLOW_TRACKING_PASSWORD", "MLFLOW_WORKSPACE", "WEB_CONCURRENCY"),
    }
)


def stock_command(config: Config, socket: Path, port: int) -> list[str]:
    """The command line of `mlflow server` on the Unix socket ``socket``.

    ``port`` is the door's: --host and --port, unused by a server on a Unix socket, are where MLflow's background
    jobs call their tracking server.
    """
    uvicorn = [
        *("--uds", str(socket), "--no-access-log", "--timeout-keep-alive", str(_KEEP_ALIVE_SECONDS)),
        # Whoever can open the socket is the door, which says in X-Forwarded-For who the client is.
        *("--forwarded-allow-ips", "*"),
    ]
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--host", _reachable(config.server.host), "--port", str(port)),
        *("--workers", str(config.stock.workers), "--uvicorn-opts", shlex.join(uvicorn)),
        *config.stock.arguments,
    ]


def stock_environment(
    config: Config, inherited: Mapping[str, str] = os.environ, *, with_jobs: bool = False
) -> dict[str, str]:
    """The environment of `mlflow server`: database, artifacts and further variables as configured, secrets inside.

    ``with_jobs``: it runs MLflow's background jobs.
    """
    kept = {
        name: value
        for name, value in inherited.items()
        if name not in _OPTION_VARIABLES and not name.startswith(("_MLFLOW_", "TRACKING_SERVER_"))
    }
    ours = {
        "MLFLOW_BACKEND_STORE_URI": config.database.uri_for_stock(),
        "MLFLOW_ARTIFACTS_DESTINATION": config.artifacts.destination_for_stock(),
        "MLFLOW_SERVE_ARTIFACTS": "true" if config.artifacts.serve else "false",
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": config.artifacts.root,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "true" if with_jobs else "false",
        # The door checks hosts and origins and writes those headers, once for native and forwarded answers alike.
        "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "PYTHONUNBUFFERED": "1",
    }
    registry = config.database.registry_uri_for_stock()
    if registry is not None:
        ours["MLFLOW_REGISTRY_STORE_URI"] = registry
    if config.server.static_prefix:
        ours["MLFLOW_STATIC_PREFIX"] = config.server.static_prefix
    return {**kept, **ours, **config.artifacts.environment_for_stock(), **config.stock.environment.reveal()}


def _reachable(host: str) -> str:
    """The address at which a process on this machine reaches a server that listens on ``host``."""
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  compared, nothing is bound
    return f"[{address}]" if ":" in address else address
