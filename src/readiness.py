"""What the server says of itself at /-/ready. Charm and workload share the pod's network."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_ASK_SECONDS = 5.0
_PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class Readiness:
    """Whether the server serves, and why not; ``artifacts_problem`` is told of a server that is ready without them."""

    ready: bool
    reason: str = ""
    answers: bool = True
    artifacts_problem: str | None = None


def ask(port: int, certificate: str | None) -> Readiness:
    """Asks once. ``certificate`` is the PEM that the server serves TLS with, None for plain HTTP."""
    try:
        status, content = _get(port, certificate)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return Readiness(False, f"no answer: {reason}", answers=False)
    if status == http.client.OK:
        store = _part(content, "object_store")
        problem = str(store.get("reason", "")) if store.get("state") == "unavailable" else None
        return Readiness(True, artifacts_problem=problem)
    return Readiness(False, _why(content) or f"it answers {status}")


def wait(port: int, certificate: str | None, seconds: float) -> Readiness:
    """Asks until the server is ready, for this long at most."""
    deadline = time.monotonic() + seconds
    readiness = ask(port, certificate)
    while not readiness.ready and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)
        readiness = ask(port, certificate)
    return readiness


def _get(port: int, certificate: str | None) -> tuple[int, Mapping[str, Any]]:
    connection: http.client.HTTPConnection
    if certificate is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ASK_SECONDS)
    else:
        # The server's own certificate is what we expect, whoever signed it and for whatever name.
        context = ssl.create_default_context(cadata=certificate)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.check_hostname = False
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=_ASK_SECONDS, context=context)
    try:
        connection.request("GET", "/-/ready")
        response = connection.getresponse()
        content = json.loads(response.read())
    finally:
        connection.close()
    return response.status, content if isinstance(content, Mapping) else {}


def _why(content: Mapping[str, Any]) -> str:
    database, stock = _part(content, "database"), _part(content, "stock")
    if database.get("state") not in (None, "ready"):
        return f"database {database['state']}: {database.get('reason', 'no reason given')}"
    if stock.get("state") == "restarting":
        return "stock MLflow restarts"
    return ""


def _part(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = content.get(name)
    return part if isinstance(part, Mapping) else {}
