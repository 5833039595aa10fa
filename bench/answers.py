"""One answer of a server, and whether two are equal."""

from __future__ import annotations

import gzip
import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

# Stock reads these without an order.
_UNORDERED_DATA = ("metrics", "params", "tags")
_UNORDERED = ("tags", "aliases")


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body, decoded. ``wire_size``: the bytes of the body as they were sent."""

    status: int
    body: bytes
    wire_size: int


def ask(url: str, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
    """Sends one request, by a connection of its own, and waits for the answer as long as it takes (10 min)."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=600)
    try:
        connection.request(method, path, body or None, {**headers, "Connection": "close"})
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    zipped = response.getheader("Content-Encoding") == "gzip"
    return Answer(response.status, gzip.decompress(content) if zipped else content, len(content))


def same_json(first: bytes, second: bytes) -> bool:
    """Whether two bodies are the same JSON value, the order of a run's metrics, params and tags left aside."""
    return bool(_ordered(json.loads(first)) == _ordered(json.loads(second)))


def _ordered(value: Any, field: str = "") -> Any:
    if isinstance(value, dict):
        unordered = _UNORDERED_DATA if field == "data" else _UNORDERED
        return {
            name: sorted(map(_ordered, item), key=_text)
            if name in unordered and isinstance(item, list)
            else _ordered(item, name)
            for name, item in value.items()
        }
    return [_ordered(item) for item in value] if isinstance(value, list) else value


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
