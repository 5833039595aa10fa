"""Which row of the route table a request is for, by the rules of stock's two routers.

Stock tries its FastAPI routes in the order of their registration; what no route takes, with this very method,
goes on to its Flask application, where a literal segment wins over a parameter (werkzeug/routing/matcher.py).
Seen from outside, and mirrored here:

* Flask rows answer HEAD where they answer GET: run the row's handler, send its headers and no body. FastAPI rows do
  not: HEAD, OPTIONS and any wrong method there are 404. Rows with ``Stack.BOTH`` have both behaviours.
* OPTIONS on a Flask row is answered by the framework, not by the row: an empty 200 (204 below /api, /ajax-api, as
  stock's security middleware has it) with Allow. CORS preflights are answered before routing.
* A trailing slash is part of the path: /api/2.0/mlflow/runs/get/ is 404.
* Slashes at the beginning count as one for Flask rows. Doubled slashes elsewhere in a path that would otherwise match
  a Flask row are redirected (308, same query) to the path with single ones, unless a {name:path} part takes them.
* Paths are matched percent-decoded, so %2F separates segments; forward the raw path, which stock decodes likewise.

Stricter than stock on purpose: a path with a line feed matches nothing (Starlette overlooks one at the end), and
method names must be upper case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from tracking_server.door.route import Route, Stack
from tracking_server.door.template import Template
from tracking_server.errors import ErrorCode, MlflowError


@dataclass(frozen=True, slots=True)
class Match:
    """The row that a request is for, and the values of its path's ``{name}`` parts (not to be changed)."""

    route: Route
    params: dict[str, str]


@dataclass(frozen=True, slots=True)
class NotFound:
    """No row has this path."""


@dataclass(frozen=True, slots=True)
class MethodNotAllowed:
    """Rows have this path, none this method. ``allow`` lists the methods they have, sorted."""

    allow: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Options:
    """An OPTIONS request for a path that rows have. ``allow`` lists their methods, sorted."""

    allow: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Redirect:
    """The path with single slashes, percent-decoded, under which a row would match: 308."""

    path: str

    def location(self, static_prefix: str, query_string: bytes) -> str:
        """The Location header: relative, so that no Host header can lead elsewhere; quoted as Werkzeug quotes."""
        query = f"?{query_string.decode('latin-1')}" if query_string else ""
        return static_prefix + quote(self.path, safe="!$&'()*+,/:;=@") + query


Resolution = Match | NotFound | MethodNotAllowed | Options | Redirect
NOT_FOUND = NotFound()


@dataclass(frozen=True, slots=True)
class _Candidate:
    rank: tuple[int, ...]
    template: Template
    methods: frozenset[str]
    route: Route


class Matcher:
    """Resolves methods and paths against a fixed set of rows. Literal paths cost two dictionary look-ups."""

    def __init__(self, routes: Iterable[Route]) -> None:
        rows = tuple(routes)
        fastapi = _fastapi_candidates(rows)
        flask = _flask_candidates(rows)
        self._fastapi = _Index(fastapi)
        self._flask = _Index(flask)
        self._literals: dict[str, dict[str, Match]] = {}
        for candidate in (*fastapi, *flask):
            if candidate.template.literal:
                self._remember(candidate)

    def match(self, method: str, path: str) -> Resolution:
        """What to do with a request. ``path`` is percent-decoded, without query and static prefix."""
        found = self._literals.get(path)
        if found is not None:
            known = found.get(method)
            if known is not None:
                return known
        return self._search(method, path)

    def _remember(self, candidate: _Candidate) -> None:
        """Resolve a literal path once and for all: by the whole search, in case another row takes it first."""
        path = candidate.template.path
        for method in candidate.methods:
            resolution = self._search(method, path)
            if isinstance(resolution, Match):
                self._literals.setdefault(path, {})[method] = resolution

    def _search(self, method: str, path: str) -> Resolution:
        if not path:
            # Only the bare static prefix looks so: Flask sends it to the prefix with its slash.
            return Redirect("/") if method in ("GET", "HEAD", "OPTIONS") else NOT_FOUND
        if path[0] != "/" or "\n" in path:
            return NOT_FOUND
        for candidate, params in self._fastapi.find(path):
            if method in candidate.methods:
                return Match(candidate.route, params)
        path = "/" + path.lstrip("/")
        resolution = self._search_flask(method, path)
        if "//" in path and not isinstance(resolution, Match | Options):
            merged = re.sub("/{2,}", "/", path)
            other = self._search_flask(method, merged)
            if isinstance(other, Match | Options):
                return Redirect(merged)
            return _either(resolution, other)
        return resolution

    def _search_flask(self, method: str, path: str) -> Resolution:
        allowed: set[str] = set()
        for candidate, params in self._flask.find(path):
            if method in candidate.methods:
                return Match(candidate.route, params)
            allowed.update(candidate.methods)
        if not allowed:
            return NOT_FOUND
        allow = tuple(sorted(allowed | {"OPTIONS"}))
        return Options(allow) if method == "OPTIONS" else MethodNotAllowed(allow)


def refusal(resolution: NotFound | MethodNotAllowed, method: str, path: str) -> MlflowError:
    """The error that an unmatched request is answered with: stock's status and Allow in MLflow's error shape.

    Stock answers Flask's HTML page; a client reads ENDPOINT_NOT_FOUND out of its status, here out of the body too.
    """
    match resolution:
        case NotFound():
            return MlflowError(f"No route for {method} {path}", ErrorCode.ENDPOINT_NOT_FOUND)
        case MethodNotAllowed(allow):
            listed = ", ".join(allow)
            return MlflowError(
                f"{path} does not answer {method}, only {listed}",
                ErrorCode.BAD_REQUEST,
                status=405,
                headers=((b"allow", listed.encode()),),
            )


class _Index:
    """Candidates by the literal beginning of their template, so that a path meets only those that can fit."""

    def __init__(self, candidates: Sequence[_Candidate]) -> None:
        self._by_prefix: dict[str, list[_Candidate]] = {}
        for candidate in candidates:
            self._by_prefix.setdefault(candidate.template.prefix, []).append(candidate)
        self._depths = sorted({prefix.count("/") + 1 for prefix in self._by_prefix})

    def find(self, path: str) -> Iterator[tuple[_Candidate, dict[str, str]]]:
        """The candidates whose template fits ``path``, in order of rank, each with its parameters."""
        segments = path.split("/")
        likely: list[_Candidate] = []
        for depth in self._depths:
            if depth > len(segments):
                break
            likely.extend(self._by_prefix.get("/".join(segments[:depth]), ()))
        likely.sort(key=lambda candidate: candidate.rank)
        for candidate in likely:
            params = candidate.template.match(segments)
            if params is not None:
                yield candidate, params


def _fastapi_candidates(rows: Sequence[Route]) -> list[_Candidate]:
    return [
        _Candidate((index,), Template(path, may_be_empty=True), frozenset(row.methods), row)
        for index, row in enumerate(rows)
        if row.stack in (Stack.FASTAPI, Stack.BOTH)
        for path in row.paths
    ]


def _flask_candidates(rows: Sequence[Route]) -> list[_Candidate]:
    candidates: list[_Candidate] = []
    for row in rows:
        if row.stack is Stack.FASTAPI:
            continue
        methods = frozenset((*row.methods, "HEAD") if "GET" in row.methods else row.methods)
        for path in row.paths:
            template = Template(path, may_be_empty=False)
            candidates.append(_Candidate(template.precedence, template, methods, row))
    return candidates


def _either(first: Resolution, second: Resolution) -> Resolution:
    """One refusal out of two, for a path as it came and with its slashes merged."""
    allow: set[str] = set()
    for resolution in (first, second):
        if isinstance(resolution, MethodNotAllowed):
            allow.update(resolution.allow)
    return MethodNotAllowed(tuple(sorted(allow))) if allow else NOT_FOUND
