"""The language of the call scripts: what is sent and what is remembered."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

JSON_TYPE = "application/json"
API = "/api/2.0/mlflow/"
AJAX = "/ajax-api/2.0/mlflow/"

Query = Sequence[tuple[str, str]]
Names = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sent:
    """One HTTP request as it goes on the wire."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Call:
    """One step of a script.

    ``{name}`` in the path, the query and the body's strings stands for what an earlier step saved under that name on
    the same server. ``save`` maps a name to the dotted place of a value in the JSON answer (``run.info.run_id``,
    ``model_versions.0.version``). ``unordered`` names lists of the answer whose order is nobody's decision.
    """

    method: str
    path: str
    body: object = None
    query: Query = ()
    raw: bytes | None = None
    content_type: str | None = JSON_TYPE
    headers: tuple[tuple[str, str], ...] = ()
    save: Mapping[str, str] = field(default_factory=dict)
    unordered: tuple[str, ...] = ()

    def render(self, names: Names) -> Sent:
        """The request for the server whose saved values are ``names``."""
        target = fill(self.path, names)
        if not target.startswith("/"):
            target = API + target
        if self.query:
            target += "?" + urlencode([(fill(key, names), fill(value, names)) for key, value in self.query])
        body = self.raw
        if body is not None:
            for name, value in names.items():
                body = body.replace(f"{{{name}}}".encode(), value.encode())
        elif self.body is not None:
            body = json.dumps(fill_all(self.body, names)).encode()
        headers = list(self.headers)
        if body is not None and self.content_type is not None:
            headers.append(("Content-Type", self.content_type))
        return Sent(self.method, target, tuple(headers), body)


@dataclass(frozen=True, slots=True)
class Script:
    """A named list of steps; it begins on an empty database and its rows are compared at its end."""

    name: str
    steps: tuple[Call, ...]


def post(path: str, body: object = None, *, save: Names | None = None) -> Call:
    """A POST with a JSON body (an empty object when None)."""
    return Call("POST", path, {} if body is None else body, save=save or {})


def get(
    path: str,
    query: Query | Mapping[str, str] = (),
    *,
    save: Names | None = None,
) -> Call:
    """A GET with a query string; a sequence of pairs can repeat a parameter."""
    pairs = tuple(query.items()) if isinstance(query, Mapping) else tuple(query)
    return Call("GET", path, query=pairs, save=save or {})


def send(
    method: str,
    path: str,
    body: object = None,
    *,
    raw: bytes | None = None,
    query: Query = (),
    content_type: str | None = JSON_TYPE,
    headers: Sequence[tuple[str, str]] = (),
    save: Names | None = None,
) -> Call:
    """Any request: another method, raw bytes, another content type."""
    return Call(method, path, body, tuple(query), raw, content_type, tuple(headers), save or {})


def script(name: str, *steps: Call | Sequence[Call]) -> Script:
    """A script of steps; lists of steps are flattened."""
    flat: list[Call] = []
    for step in steps:
        if isinstance(step, Call):
            flat.append(step)
        else:
            flat.extend(step)
    return Script(name, tuple(flat))


def fill(text: str, names: Names) -> str:
    """``text`` with every ``{name}`` of ``names`` replaced; other braces stay."""
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def fill_all(value: object, names: Names) -> object:
    """``fill`` for all strings of a JSON value, keys included."""
    return _map_strings(value, lambda text: fill(text, names))


def _map_strings(value: object, change: Callable[[str], str]) -> object:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {change(str(key)): _map_strings(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_map_strings(item, change) for item in value]
    return value
