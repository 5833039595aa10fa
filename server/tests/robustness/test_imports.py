"""A worker that has answered everything natively has loaded neither MLflow nor what MLflow would bring."""

from __future__ import annotations

import json
import re
from pathlib import Path

import psutil

from robustness.bodies import OPERATIONS
from robustness.conftest import make_server, populate
from support.databases import Databases

_IMPORTED = re.compile(r"^import time: +\d+ \| +\d+ \| *([\w.]+)$", re.MULTILINE)
_LARGEST = 200 * 1024 * 1024


def test_workers_do_not_load_mlflow(tmp_path: Path, databases: Databases) -> None:
    """Python itself tells each module that it loads, in any process of the server; stock MLflow is off."""
    uri = databases.sqlite()
    with make_server(tmp_path, uri, stock=False, environment={"PYTHONPROFILEIMPORTTIME": "1"}) as server:
        target = populate(server, tmp_path, uri)
        with target.wire() as wire:
            for operation in OPERATIONS:
                fitting = operation.fitting(target)
                body = None if operation.method == "GET" else json.dumps(fitting).encode()
                query = "?" + "&".join(f"{name}={value}" for name, value in fitting.items()) if body is None else ""
                target.check(wire.ask(operation.method, operation.path(target) + query, body), operation.label)
            for path in ("/", "/health", "/version", "/-/ready", "/-/metrics", "/api/2.0/mlflow-artifacts/artifacts"):
                assert wire.ask("GET", path).status == 200
            assert wire.ask("PUT", "/api/2.0/mlflow-artifacts/artifacts/file.txt", b"content").status == 200
            assert wire.ask("GET", "/api/2.0/mlflow-artifacts/artifacts/file.txt").body == b"content"
        assert all(psutil.Process(pid).memory_info().rss < _LARGEST for pid in server.pids())
        imported = set(_IMPORTED.findall(server.logs()))
    assert {"uvicorn", "asyncpg", "sqlparse"} <= imported
    heavy = ("mlflow", "sqlalchemy", "pandas", "numpy", "google.protobuf")
    assert [name for name in imported if name.startswith(heavy)] == []
