"""Looking at a running server: its processes, its answers, its rows."""

from __future__ import annotations

import http.client
import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any, TypeVar

import psutil
import psycopg

from support.ours import TrackingServer
from support.processes import LOCALHOST

T = TypeVar("T")

NATIVE = "/version"
FORWARDED = "/api/3.0/mlflow/gateway/endpoints/list"
API = "/api/2.0/mlflow/"


def request(
    server: TrackingServer, path: str, body: object = None, *, timeout: float = 150
) -> tuple[http.client.HTTPResponse, bytes]:
    """A GET, or a POST where there is a ``body``, on a connection of its own."""
    with closing(http.client.HTTPConnection(LOCALHOST, server.port, timeout=timeout)) as connection:
        if body is None:
            connection.request("GET", path)
        else:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response, response.read()


def get(server: TrackingServer, path: str) -> tuple[int, bytes]:
    """The status and the body of a GET."""
    response, body = request(server, path)
    return response.status, body


def call(server: TrackingServer, operation: str, body: object) -> Any:
    """The JSON that a POST is answered, which must succeed."""
    response, answer = request(server, API + operation, body)
    assert response.status == 200, answer
    return json.loads(answer)


def ready(server: TrackingServer) -> tuple[int, Any]:
    """The status and the JSON of /-/ready."""
    status, body = get(server, "/-/ready")
    return status, json.loads(body)


def workers(server: TrackingServer) -> list[psutil.Process]:
    """The processes that serve."""
    return [each for each in psutil.Process(server.pid).children() if "tracking_server.worker" in each.cmdline()]


def guard(server: TrackingServer) -> psutil.Process:
    """Stock's guard, whose children are stock."""
    return eventually(
        lambda: next(
            each for each in psutil.Process(server.pid).children() if any("guard.py" in word for word in each.cmdline())
        )
    )


def eventually(look: Callable[[], T], seconds: float = 120) -> T:
    """What ``look`` returns once it is true and does not raise."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := look():
                return found
        except (StopIteration, IndexError, psutil.Error, OSError, http.client.HTTPException):
            if time.monotonic() > deadline:
                raise
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def rows(uri: str, statement: str) -> Sequence[tuple[Any, ...]]:
    """What a statement finds in the database, seen past the server."""
    if uri.startswith("sqlite:///"):
        with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as database:
            return database.execute(statement).fetchall()
    with psycopg.connect(uri) as connection:
        # Statements are the tests' own.
        return connection.execute(statement.encode()).fetchall()
