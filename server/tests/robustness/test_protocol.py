"""Below and around JSON: sizes, slowness, broken HTTP, and paths that lead elsewhere."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from robustness.conftest import MAX_BODY, SECRET, Target
from robustness.wire import JSON, Answer, Closed, head

CREATE = b"/api/2.0/mlflow/experiments/create"
ARTIFACT = b"/api/2.0/mlflow-artifacts/artifacts/slow.bin"
# Limits of the target's configuration, in seconds.
BODY_TIMEOUT = HEADER_TIMEOUT = 1.0


def unread(target: Target, data: bytes, trickle: bytes = b"", pause: float = 0.1) -> Answer:
    """Sends ``data``, then ``trickle`` byte by byte until the answer comes, which must not take for ever."""
    with target.wire() as wire:
        began = time.monotonic()
        wire.send(data)
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(wire.answer, began)
            for byte in trickle:
                if answer.done():
                    break
                try:
                    wire.send(bytes([byte]))
                except OSError:
                    break
                time.sleep(pause)
            return target.check(answer.result(), data[:80])


@pytest.mark.parametrize(("path", "method"), [(CREATE, "POST"), (ARTIFACT, "PUT")], ids=["json", "artifact"])
@pytest.mark.parametrize("trickle", [b"", b"x" * 1000], ids=["stalled", "dripping"])
def test_a_slow_body_is_408(target: Target, path: bytes, method: str, trickle: bytes) -> None:
    start = head(method, path, [("Content-Type", JSON), ("Content-Length", "1000")]) + b'{"na'
    answer = unread(target, start, trickle)
    assert (answer.status, answer.value()["error_code"]) == (408, "BAD_REQUEST")
    assert answer.seconds > BODY_TIMEOUT / 2
    assert not (target.artifacts / "slow.bin").exists()


def test_a_body_that_takes_its_time_is_taken(target: Target) -> None:
    body = json.dumps({"name": "patience", "tags": [{"key": "k", "value": "v" * 4000}]}).encode()
    with target.wire() as wire:
        wire.send(head("POST", CREATE, [("Content-Type", JSON), ("Content-Length", str(len(body)))]))
        for position in range(0, len(body), 1000):
            time.sleep(0.4)
            wire.send(body[position : position + 1000])
        assert wire.answer().status == 200


def test_a_slow_header_is_408(target: Target) -> None:
    assert unread(target, b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: ").status == 408
    assert unread(target, b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: ", b"v" * 1000).status == 408


def test_what_is_too_large(target: Target) -> None:
    many = [(f"X-{number}", "v" * 1000) for number in range(100)]
    with target.wire() as wire:
        assert target.check(wire.exchange(head("GET", b"/health", [("X", "v" * 100_000)]))).status == 431
        assert target.check(wire.exchange(head("GET", b"/health", many))).status == 431
        assert target.check(wire.exchange(head("GET", b"/health?" + b"q" * 100_000))).status in (414, 431)
        assert target.check(wire.exchange(head("GET", b"/health?" + b"q" * 40_000))).status == 414
        for declared in (MAX_BODY + 1, 2**40):
            start = head("POST", CREATE, [("Content-Type", JSON), ("Content-Length", str(declared))])
            assert target.check(wire.exchange(start + b" " * (MAX_BODY + 1))).status == 413
        chunked = head("POST", CREATE, [("Content-Type", JSON), ("Transfer-Encoding", "chunked")])
        assert (
            target.check(wire.exchange(chunked + b"100000\r\n" + b" " * 2**20 + b"\r\n", is_head=False)).status == 408
        )
        endless = b"".join(b"100000\r\n" + b" " * 2**20 + b"\r\n" for _ in range(5))
        assert target.check(wire.exchange(chunked + endless)).status == 413


@pytest.mark.parametrize(
    "chunks", [b"zz\r\n", b"-1\r\n", b"ffffffffffffffffff\r\n", b"3\r\nabcdef\r\n", b"3;" + b"x" * 70_000, b"\r\n\r\n"]
)
def test_bad_chunks_are_400(target: Target, chunks: bytes) -> None:
    start = head("POST", CREATE, [("Content-Type", JSON), ("Transfer-Encoding", "chunked")])
    with target.wire() as wire:
        answer = target.check(wire.exchange(start + chunks))
    assert 400 <= answer.status < 500


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + b"\0" * 60,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /health HTTP/1.1\r\nNo colon\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1e3\r\n\r\n",
        b"POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"\0" * 100_000,
    ],
)
def test_what_is_not_http_is_4xx(target: Target, request_bytes: bytes) -> None:
    with target.wire() as wire:
        assert 400 <= target.check(wire.exchange(request_bytes)).status < 500


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
def test_odd_paths_and_queries(target: Target, method: str) -> None:
    targets = (
        *(
            b"/%ff%fe",
            b"/%00",
            b"/%0a",
            b"/a%0d%0aX: y",
            b"/%",
            b"/%zz",
            b"//",
            b"/..",
            b"/../../etc/passwd",
            b"*",
            b"/" * 5000,
        ),
        *(
            b"/api/2.0/mlflow/%ff",
            b"/api/2.0/mlflow/runs%2fsearch",
            b"/api/2.0/mlflow/runs/get/",
            b"/static-files/%2e%2e/x",
        ),
        *(
            b"/api/2.0/mlflow/experiments/get?%ff=%ff",
            b"/health?" + b"&" * 5000,
            b"/health?a=" + b"%" * 3000,
            b"/health#x",
        ),
        *(b"http://localhost/health", b"http://[::1/health", b"/" + b"a/" * 9000, b"/%2e%2e%2f%2e%2e%2fetc/passwd"),
        *(
            b"/api/2.0/mlflow/logged-models/%00",
            b"/api/2.0/mlflow/logged-models/%ed%a0%80",
            b"/api/2.0/mlflow/logged-models/%2f",
        ),
    )
    for path in targets:
        with target.wire() as wire:
            answer = target.check(wire.ask(method, path), path)
            assert answer.status < 500 or b"turned off" in answer.body


def test_odd_headers(target: Target) -> None:
    with target.wire() as wire:
        for value in ("é" * 100, "\x7f", "x" * 200, "a b", ""):
            answer = target.check(wire.ask("GET", "/version", headers=[("X-Request-ID", value)]), value)
            assert answer.headers["x-request-id"] != value
        assert wire.ask("GET", "/version", headers=[("X-Request-ID", "mine")]).headers["x-request-id"] == "mine"
        for name in (
            "Range",
            "If-None-Match",
            "If-Modified-Since",
            "Accept-Encoding",
            "Accept",
            "Cookie",
            "Origin",
            "Expect",
        ):
            for value in ("\xff", "bytes=-", "bytes=5-1,,", "x" * 5000, ";;;===", "null", "http://["):
                for path in ("/", "/version", "/api/2.0/mlflow/experiments/get?experiment_id=0"):
                    try:
                        target.check(wire.ask("GET", path, headers=[(name, value)]), (name, value, path))
                    except Closed:
                        pytest.fail(f"no answer to {name}: {value[:50]}")


CLIMBS = (
    *("../secret.txt", "..%2fsecret.txt", "%2e%2e/secret.txt", "%2e%2e%2fsecret.txt", "%252e%252e%252fsecret.txt"),
    *("..%5csecret.txt", "..\\secret.txt", "a/../../secret.txt", "a/%2e%2e/%2e%2e/secret.txt", ".%2e/secret.txt"),
    *(
        "%c0%ae%c0%ae/secret.txt",
        "%e0%80%ae%e0%80%ae/secret.txt",
        "..%00/secret.txt",
        "../secret.txt%00",
        "....//secret.txt",
    ),
    *(
        "%2fetc%2fpasswd",
        "/etc/passwd",
        "//etc/passwd",
        "file:///etc/passwd",
        "file:%2f%2f%2fetc%2fpasswd",
        "C:%5cwindows",
        "..;/secret.txt",
    ),
    *(
        "%25%32%65%25%32%65%2fsecret.txt",
        "%2525252e%2525252e%2525252fsecret.txt",
        "~/secret.txt",
        "a/./../../secret.txt",
        "..%0a/secret.txt",
    ),
    *(
        "%ef%bc%8e%ef%bc%8e/secret.txt",
        "\\..\\secret.txt",
        "..%ff/secret.txt",
        "%2e%2e",
        "..",
        ".",
        "%2e",
        "a" * 5000,
        "a/" * 3000,
    ),
)


def paths_of(target: Target) -> list[str]:
    """The addresses at which a path of an artifact is taken, with ``{}`` in its place."""
    run, model = target.values["run_id"], target.values["model_id"]
    return [
        "/api/2.0/mlflow-artifacts/artifacts/{}",
        "/ajax-api/2.0/mlflow-artifacts/artifacts/{}",
        "/api/2.0/mlflow-artifacts/artifacts?path={}",
        "/api/2.0/mlflow-artifacts/mpu/create/{}",
        "/api/2.0/mlflow-artifacts/mpu/complete/{}",
        "/api/2.0/mlflow-artifacts/presigned/{}",
        f"/api/2.0/mlflow/artifacts/list?run_id={run}&path={{}}",
        f"/get-artifact?run_id={run}&path={{}}",
        f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run}&path={{}}",
        f"/ajax-api/2.0/mlflow/logged-models/{model}/artifacts/files?artifact_file_path={{}}",
        f"/api/2.0/mlflow/logged-models/{model}/artifacts/directories?artifact_directory_path={{}}",
        "/model-versions/get-artifact?name=robust&version=1&path={}",
        "/static-files/{}",
        "/build/{}",
    ]


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
def test_no_path_leads_out(target: Target, method: str) -> None:
    def outside() -> set[Path]:
        return {path for path in target.artifacts.parent.rglob("*") if target.artifacts not in (path, *path.parents)}

    before = outside()
    (target.artifacts / "kept.txt").write_text("kept")
    body = b'{"path": "../secret.txt"}' if method in ("PUT", "POST") else None
    with target.wire() as wire:
        for address in paths_of(target):
            for climb in CLIMBS:
                path = address.format(climb).encode()
                answer = target.check(wire.ask(method, path, body), (method, path))
                assert SECRET.encode() not in answer.body, path
                assert b"root:" not in answer.body, path
    assert outside() == before
    assert target.secret.read_text() == SECRET
    assert target.artifacts.exists()


def test_the_log_is_clean(target: Target) -> None:
    """Every line is JSON; bad input leaves no traceback; an answer's request id is in its line."""
    with target.wire() as wire:
        identifier = wire.ask("GET", "/version").headers["x-request-id"]
        refused = wire.exchange(b"nonsense\r\n\r\n").headers["x-request-id"]
        wire.ask("POST", "/api/2.0/mlflow/runs/get\r\n", b"{")
    lines = [json.loads(line) for line in target.server.logs().splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    for wanted in (identifier, refused):
        assert [line["level"] for line in lines if line.get("request_id") == wanted] == ["info"]
    text = target.server.logs()
    assert "Traceback" not in text
    for secret in target.secrets:
        assert secret not in text
