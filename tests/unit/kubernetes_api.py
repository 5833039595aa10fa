"""Plays, over real HTTP, the few endpoints of Kubernetes' API that the charm calls.

It is no API server: it keeps what was written under a path, merges server-side applies as Kubernetes does for the
fields used here (a field that the manager no longer applies goes away; `managedFields` says what it owns), rewrites
quantities, adds defaults, and answers 403 and 404 in Kubernetes' form.
"""

from __future__ import annotations

import copy
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from lightkube import Client, KubeConfig

Document = dict[str, Any]

# What names an item of a list, so that appliers can share the list; other lists are replaced whole.
_LIST_KEYS = {
    "containers": ("name",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "ports": ("port", "protocol"),
    "ownerReferences": ("uid",),
}
_CANONICAL = {"1000m": "1", "0.5": "500m", "1024Mi": "1Gi"}


@dataclass(frozen=True)
class Call:
    """One request: its method, the path behind the namespace, its query and its body."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Document | None


@dataclass
class KubernetesApi:
    """The objects by path, and what is to go wrong."""

    url: str = ""
    calls: list[Call] = field(default_factory=list)
    objects: dict[str, Document] = field(default_factory=dict)
    applied: dict[tuple[str, str], Document] = field(default_factory=dict)
    forbidden: set[tuple[str, str]] = field(default_factory=set)
    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    delay: float = 0.0
    patience: float = 10.0

    @property
    def writes(self) -> list[tuple[str, str]]:
        """What was written, as (method, path)."""
        return [(call.method, call.path) for call in self.calls if call.method != "GET"]

    def client(self, namespace: str) -> Client:
        """Makes a client that asks this API, and waits `patience` seconds for its answers."""
        config = KubeConfig.from_dict(
            {
                "clusters": [{"name": "played", "cluster": {"server": self.url}}],
                "users": [{"name": "charm", "user": {"token": "played"}}],
                "contexts": [{"name": "played", "context": {"cluster": "played", "user": "charm"}}],
                "current-context": "played",
            }
        )
        return Client(config=config.get(), namespace=namespace, timeout=httpx2.Timeout(self.patience), trust_env=False)

    def read(self, path: str) -> Document | None:
        """Returns the object at the path with what was applied to it, or None."""
        if path not in self.objects and not any(where == path for where, _ in self.applied):
            return None
        result = copy.deepcopy(self.objects.get(path, {}))
        managed = []
        for (where, manager), applied in self.applied.items():
            if where == path:
                result = _merge(result, applied)
                owned = _owned({key: value for key, value in applied.items() if key not in ("apiVersion", "kind")})
                managed.append({"manager": manager, "operation": "Apply", "fieldsV1": owned})
        result["metadata"] = {**result["metadata"], "managedFields": managed}
        return result

    def answer(self, call: Call) -> tuple[int, Document]:
        """Answers one request."""
        self.calls.append(call)
        collection = call.path.rpartition("/")[0]
        if call.path in self.answers:
            code, message = self.answers[call.path]
            return code, _status(code, message)
        if {(call.method, collection), ("*", collection)} & self.forbidden:
            return 403, _status(
                403, f'{collection} is forbidden: User "system:serviceaccount:ml:mlflow" cannot do this'
            )
        if call.method == "PATCH" and call.body is not None:
            self.applied[call.path, call.query["fieldManager"]] = call.body
        live = self.read(call.path)
        if live is None:
            return 404, _status(404, f"{call.path} not found")
        if call.method == "DELETE":
            self.objects.pop(call.path, None)
            self.applied = {key: value for key, value in self.applied.items() if key[0] != call.path}
            return 200, {"kind": "Status", "apiVersion": "v1", "status": "Success"}
        return 200, live


@contextmanager
def serve(api: KubernetesApi, address: str = "127.0.0.1") -> Iterator[KubernetesApi]:
    """Serves the API on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            time.sleep(api.delay)
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            if self.command == "PATCH" and self.headers["Content-Type"] != "application/apply-patch+yaml":
                code, document = 415, _status(415, "only server-side apply is played here")
            else:
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                path = parts.path.removeprefix("/").replace("/namespaces/ml/", "/")
                code, document = api.answer(Call(self.command, path, query, body))
            content = json.dumps(document).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            # A client that has stopped waiting is what a delay is for.
            with suppress(BrokenPipeError):
                self.wfile.write(content)

        do_GET = do_PATCH = do_DELETE = _handle  # noqa: N815 (http.server finds handlers by these names)

        def log_message(self, format: str, *args: Any) -> None:
            """Keeps quiet."""

    server = ThreadingHTTPServer((address, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    api.url = f"http://{address}:{server.server_port}"
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _status(code: int, message: str) -> Document:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message}


def _merge(live: Any, applied: Any, name: str = "") -> Any:
    if isinstance(applied, dict):
        base = live if isinstance(live, dict) else {}
        return {**base, **{key: _merge(base.get(key), value, key) for key, value in applied.items()}}
    if isinstance(applied, list) and name in _LIST_KEYS:
        identity = _LIST_KEYS[name]
        merged = {tuple(item[key] for key in identity): item for item in live or []}
        for item in applied:
            key = tuple(item[part] for part in identity)
            defaults = {"nodePort": 30500} if name == "ports" else {}
            merged[key] = _merge({**defaults, **merged.get(key, {})}, item)
        return list(merged.values())
    return _CANONICAL.get(applied, applied) if isinstance(applied, str) else applied


def _owned(applied: Document) -> Document:
    """Writes fields as Kubernetes' fieldsV1 does."""
    owned: Document = {}
    for name, value in applied.items():
        if name in _LIST_KEYS:
            owned[f"f:{name}"] = {
                "k:" + json.dumps({key: item[key] for key in _LIST_KEYS[name]}, separators=(",", ":")): _owned(item)
                for item in value
            }
        else:
            owned[f"f:{name}"] = _owned(value) if isinstance(value, dict) else {}
    return owned
