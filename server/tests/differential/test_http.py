"""What surrounds a call: methods, prefixes, content types, broken and odd JSON, query strings, bodies on GET."""

from __future__ import annotations

import gzip

import pytest

from differential.calls import new_experiment, new_run
from differential.harness.pair import Pair
from differential.harness.script import AJAX, API, Call, Script, get, post, script, send

CREATE = "experiments/create"


def raw(body: bytes, content_type: str | None = "application/json", **headers: str) -> Call:
    return send("POST", CREATE, raw=body, content_type=content_type, headers=list(headers.items()))


BODIES = [
    *(
        b"",
        b" ",
        b"{",
        b"}",
        b"{}",
        b"[]",
        b"[1]",
        b"null",
        b"true",
        b"1",
        b"1.5",
        b'"x"',
        b'""',
        b"x",
        b"\xff\xfe",
        b"\x00",
    ),
    *(
        b'{"name"',
        b'{"name": }',
        b'{"name": "a",}',
        b"{'name': 'a'}",
        b'{name: "a"}',
        b'{"name": "a"} x',
        b'{"name": "a"}{}',
    ),
    *(
        b'{"name": "dup", "name": "dup2"}',
        b'{"name": "\\ud800"}',
        b'{"name": "\\u0000"}',
        b'{"name": "\xff"}',
        b'{"name": "a\nb"}',
    ),
    *(b'\xef\xbb\xbf{"name": "bom"}', '{"name": "utf16"}'.encode("utf-16"), '{"name": "utf32"}'.encode("utf-32-le")),
    *(b'{"name": "nan", "x": NaN}', b'{"name": "inf", "x": -Infinity}', b'{"name": "big", "x": ' + b"9" * 400 + b"}"),
    *(b'{"name": "digits", "x": ' + b"9" * 5000 + b"}", b'{"name": "deep", "x": ' + b"[" * 200 + b"]" * 200 + b"}"),
    *(
        b'{"name": "exp", "x": 1e999}',
        b'{"name": "comment" /* c */}',
        b'{"": 1, "name": "empty key"}',
        b'{"name": "neg0", "x": -0}',
    ),
    *(
        b'"{\\"name\\": \\"twice encoded\\"}"',
        b'"null"',
        b'"[]"',
        b'"1"',
        b'"{\\"name\\": "',
        b'  {"name": "spaces"}  \n',
    ),
    *(
        b'{"name": "zero", "x": 01}',
        b'{"name": "plus", "x": +1}',
        b'{"name": "hex", "x": 0x1}',
        b'{"name": "dot", "x": 1.}',
    ),
    *(
        b'{"name": null, "artifactLocation": null, "artifact_location": null}',
        b'{"name": "ctl\x01"}',
        b'{"name": "\\x41"}',
    ),
]
TYPES = [
    *(
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=latin-1",
        "Application/JSON",
        "text/plain",
    ),
    *(
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/json",
        "application/json ",
        "application/jsonx",
    ),
    *("", "*/*", "application/json, text/plain", ";application/json", "application/vnd.api+json", "APPLICATION/JSON"),
]

SCRIPTS = [
    script("bodies", [raw(body) for body in BODIES], post("experiments/search", {"max_results": 100})),
    script("very deep bodies", raw(b'{"name": "deeper", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")),
    script(
        "content types",
        [raw(b'{"name": "type %d"}' % number, content_type) for number, content_type in enumerate(TYPES)],
        raw(b'{"name": "none"}', None),
        send("POST", CREATE, content_type=None),
        send("POST", CREATE),
        raw(b"name=form", "application/x-www-form-urlencoded"),
        send("PATCH", "registered-models/update", {"name": "m"}, content_type=None),
        send("DELETE", "registered-models/delete", {"name": "m"}, content_type=None),
        send("DELETE", "registered-models/delete", {"name": "m"}, content_type="text/plain"),
        raw(gzip.compress(b'{"name": "zipped"}'), **{"Content-Encoding": "gzip"}),
        raw(b'{"name": "accept"}', **{"Accept": "text/html"}),
        post("experiments/search", {"max_results": 100}),
    ),
    script(
        "both prefixes",
        send("POST", f"{AJAX}{CREATE}", {"name": "a"}, save={"exp": "experiment_id"}),
        send("POST", f"{API}{CREATE}", {"name": "b"}),
        get(f"{AJAX}experiments/get", {"experiment_id": "{exp}"}),
        get(f"{API}experiments/get", {"experiment_id": "{exp}"}),
        get(f"{AJAX}experiments/search", {"max_results": "5"}),
        get(f"{API}experiments/search", {"max_results": "5"}),
        get("/api/3.0/mlflow/experiments/get", {"experiment_id": "{exp}"}),
        get("/api/1.0/mlflow/experiments/get", {"experiment_id": "{exp}"}),
    ),
    script(
        "methods",
        new_experiment(),
        new_run(),
        [send(method, CREATE, {"name": f"by {method}"}) for method in ("GET", "PUT", "PATCH", "DELETE")],
        [send(method, "experiments/get?experiment_id={exp}") for method in ("POST", "PUT", "DELETE")],
        [send(method, "runs/log-metric", {"run_id": "{run}"}) for method in ("GET", "PUT")],
        send("GET", "experiments/get", {"experiment_id": "{exp}"}),
        send("GET", "experiments/get", {"experiment_id": "999"}, query=[("experiment_id", "{exp}")]),
        send("GET", "experiments/get", raw=b"{broken", query=[("experiment_id", "{exp}")]),
        send("GET", "experiments/get", raw=b"{broken"),
        send("GET", "runs/get", {"run_id": "{run}"}),
        send("POST", "experiments/search?max_results=1", {"max_results": 2}),
        send("POST", f"{CREATE}?name=query"),
        send("POST", f"{CREATE}?name=query", {"name": "body"}),
    ),
    script(
        "query strings",
        new_experiment(),
        get("experiments/get", [("experiment_id", "{exp}"), ("experiment_id", "0")]),
        get("experiments/get", [("experiment_id", "{exp}"), ("unknown", "x")]),
        get("experiments/get?experiment_id={exp}&"),
        get("experiments/get?&&experiment_id={exp}"),
        get("experiments/get?experiment_id"),
        get("experiments/get?experiment_id=%30"),
        get("experiments/get?experiment%5Fid=0"),
        get("experiments/get?experiment_id=0;x=1"),
        get("experiments/get?experiment_id=%zz"),
        get("experiments/get?experiment_id=%ff"),
        get("experiments/get-by-name?experiment_name=a+b"),
        get("experiments/get-by-name?experiment_name=a%2Bb"),
        get("experiments/get-by-name?experiment_name=%C3%A9"),
        get("experiments/get-by-name?experiment_name=%00"),
        get("experiments/search?max_results=5&order_by=name&order_by=creation_time%20DESC&filter=name%3D'e'"),
        get("experiments/search?max_results=5&view_type=ALL"),
        get("experiments/search?max_results=5&view_type=3"),
        get("experiments/search?max_results=5&view_type=x"),
        get("experiments/search?max_results=x"),
        get("experiments/search?max_results=1.0"),
        get("experiments/search?max_results=5&viewType=ALL"),
        get("experiments/search"),
        get("experiments/search?x=y"),
    ),
    script(
        "paths",
        [
            get(path)
            for path in (
                *(
                    "experiments/nonsense",
                    "experiments",
                    "experiments/get/",
                    "/api/2.0/mlflow",
                    "/api/2.0/mlflow/",
                ),
                *(
                    "/api",
                    "/nonsense",
                    "/api/2.0/mlflow/experiments/GET",
                    "/API/2.0/mlflow/experiments/get",
                    "experiments/%67et?experiment_id=0",
                ),
            )
        ],
        get("/health"),
        get("/version"),
        send("POST", "/health"),
    ),
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda item: item.name)
def test_http(pair: Pair, script: Script) -> None:
    pair.check(script)
