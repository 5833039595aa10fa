"""The matcher takes the rows that stock's two routers would take, and refuses what they refuse."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.stock_router import StockRouter
from tracking_server.door.match import (
    Match,
    Matcher,
    MethodNotAllowed,
    NotFound,
    Options,
    Redirect,
    Resolution,
    refusal,
)
from tracking_server.door.route import Stack
from tracking_server.door.table import TABLE
from tracking_server.door.template import Template, TemplateError

MATCHER = Matcher(TABLE)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
PATHS = sorted({path for row in TABLE if row.stack is not Stack.OWN for path in row.paths})
WORDS = sorted({segment for path in PATHS for segment in path.split("/") if segment and "{" not in segment})


def comparable(resolution: Resolution) -> dict[str, Any]:
    """In the words of ``stock_router_process.resolve``; of the row, all that stock can know: its paths."""
    match resolution:
        case Match(route, params):
            return {"kind": "match", "paths": route.paths, "params": params}
        case NotFound():
            return {"kind": "not found"}
        case MethodNotAllowed(allow):
            return {"kind": "method not allowed", "allow": list(allow)}
        case Options(allow):
            return {"kind": "options", "allow": list(allow)}
        case Redirect(path):
            return {"kind": "redirect", "path": path}


def assert_like_stock(method: str, path: str, stocks: dict[str, Any]) -> None:
    mine = comparable(MATCHER.match(method, path))
    if stocks["kind"] == "match":
        template = re.sub(r"<(?:(path):)?(\w+)>", lambda m: f"{{{m[2]}{':path' if m[1] else ''}}}", stocks["path"])
        assert mine["kind"] == "match", (method, path, mine, stocks)
        assert template in mine["paths"], (method, path, mine, stocks)
        assert mine["params"] == stocks["params"], (method, path, mine, stocks)
    else:
        assert mine == stocks, (method, path, mine, stocks)


# A value for a {name} part: ordinary, empty, with slashes, with other templates' words, with any character.
values = st.one_of(
    st.sampled_from(
        ["1", "m-0a", "a/b", "", "/", "//x", "x/", "%2F", ":generateContent", ".", "..", "é", "a b", "?", "#"]
    ),
    st.sampled_from(WORDS),
    st.lists(st.sampled_from(["versions", "tags", "aliases", "endpoints", "x", ""]), max_size=6).map("/".join),
    st.text(st.characters(exclude_characters="\n", codec="utf-8"), max_size=8),
)


@st.composite
def filled_paths(draw: st.DrawFn) -> str:
    """A path made from one of the table's templates."""
    return re.sub(r"\{[^}]*\}", lambda _: draw(values), draw(st.sampled_from(PATHS)))


@st.composite
def mangled_paths(draw: st.DrawFn) -> str:
    """Such a path with segments dropped, doubled or replaced, and slashes added."""
    segments = draw(filled_paths()).split("/")[1:]
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(segments)))
        segments[at : at + draw(st.integers(0, 1))] = draw(st.lists(st.sampled_from(["", *WORDS, "x"]), max_size=2))
    return "/" + "/".join(segments)


paths = st.one_of(filled_paths(), mangled_paths(), filled_paths().map(lambda path: path + "/"), st.just("/"))


@settings(max_examples=300, deadline=None)
@given(path=paths)
def test_agrees_with_stock_on_any_path(stock: StockRouter, path: str) -> None:
    for method, stocks in zip(METHODS, stock.ask("resolve", [(m, path) for m in METHODS]), strict=True):
        assert_like_stock(method, path, stocks)


def test_agrees_with_stock_on_every_template(stock: StockRouter) -> None:
    requests = [
        (method, re.sub(r"\{[^}]*\}", value, path)) for path in PATHS for value in ("v", "a/b") for method in METHODS
    ]
    for (method, path), stocks in zip(requests, stock.ask("resolve", requests), strict=True):
        assert_like_stock(method, path, stocks)


# Requests that stock's handlers never see, or that only its health and version see.
HARMLESS = [
    ("GET", "/health"),
    ("HEAD", "/health"),
    ("DELETE", "/health"),
    ("OPTIONS", "/health"),
    ("GET", "//health"),
    ("GET", "/health/"),
    ("HEAD", "/version"),
    ("GET", "/api/2.0/mlflow/runs/get/"),
    ("GET", "/api//2.0/mlflow/runs/get?run_id=a%2Fb"),
    ("GET", "/api//2.0///mlflow/traces/%C3%A9%20%25%3F/info"),
    ("POST", "/api//2.0/mlflow/runs/get"),
    ("OPTIONS", "/api/2.0/mlflow/runs/get"),
    ("OPTIONS", "/v1/traces"),
    ("GET", "/v1/traces"),
    ("HEAD", "/ajax-api/3.0/mlflow/assistant/providers"),
    ("POST", "/ajax-api/3.0/jobs"),
    ("DELETE", "/api/2.0/mlflow/registered-models/search"),
    ("PATCH", "/graphql"),
    ("PATCH", "/api/2.0/mlflow-artifacts/artifacts/x"),
    ("POST", "/api/2.0/mlflow-artifacts/artifacts/"),
    ("GET", "/nope"),
    ("GET", "/api/2.0/nope"),
    ("GET", "/a%0Ab"),
    ("GET", "/metrics"),
    ("GET", "/static-files/"),
    ("TRACE", "/"),
]


@pytest.mark.parametrize(("method", "target"), HARMLESS)
def test_agrees_with_what_stock_answers(stock: StockRouter, method: str, target: str) -> None:
    """Seen from outside: the status, Allow and Location that the whole of stock's application sends."""
    [stocks] = stock.ask("answer", [(method, target)])
    raw_path, _, query = target.partition("?")
    path = unquote(raw_path)
    match MATCHER.match(method, path):
        case Match():
            assert (stocks["status"], stocks["allow"], stocks["location"]) == (200, None, None)
        case Redirect() as redirect:
            assert stocks["status"] == 308
            assert stocks["location"] == "http://localhost" + redirect.location("", query.encode())
        case Options(allow):
            assert stocks["status"] in (200, 204)
            assert stocks["allow"] == list(allow)
        case NotFound() | MethodNotAllowed() as refused:
            error = refusal(refused, method, path)
            header = dict(error.headers).get(b"allow")
            assert error.status == stocks["status"]
            assert (header.decode().split(", ") if header else None) == stocks["allow"]


def test_our_own_rows_follow_flasks_rules() -> None:
    ready = MATCHER.match("GET", "/-/ready")
    assert isinstance(ready, Match)
    assert ready.route.label == "own.ready"
    assert MATCHER.match("HEAD", "/-/ready") == ready
    assert MATCHER.match("POST", "/-/ready") == MethodNotAllowed(("GET", "HEAD", "OPTIONS"))


def test_the_static_prefix_alone_is_redirected_to_the_page() -> None:
    assert MATCHER.match("GET", "") == Redirect("/")
    assert Redirect("/").location("/mlflow", b"a=1") == "/mlflow/?a=1"
    assert MATCHER.match("POST", "") == NotFound()


def test_stricter_than_stock_by_choice(stock: StockRouter) -> None:
    [stocks] = stock.ask("resolve", [("GET", "/health\n")])
    assert stocks["kind"] == "match"
    assert MATCHER.match("GET", "/health\n") == NotFound()
    assert MATCHER.match("get", "/version") == MethodNotAllowed(("GET", "HEAD", "OPTIONS"))
    assert MATCHER.match("GET", "version") == NotFound()


@pytest.mark.parametrize(
    "path", ["/a/{x:path}/{y:path}", "/a/{x:path}/{y}/{z:path}", "/a/b{x}", "/a/{x:path}.json", "/{"]
)
def test_templates_beyond_the_rules_are_refused(path: str) -> None:
    with pytest.raises(TemplateError):
        Template(path, may_be_empty=True)
