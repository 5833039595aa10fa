"""What the charm makes of the server's answer at /-/ready, asked over real sockets."""

from __future__ import annotations

import contextlib
import datetime
import http.server
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from charmlibs.interfaces.tls_certificates import Certificate, CertificateRequestAttributes, PrivateKey

import readiness
from readiness import Readiness, ask

READY = {"ready": True, "database": {"state": "ready"}, "object_store": {"state": "ready"}, "stock": {"state": "ready"}}


@contextlib.contextmanager
def answering(status: int, body: bytes, tls: tuple[Path, Path] | None = None) -> Iterator[int]:
    """A server that answers every request so; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/-/ready" else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "content", "expected"),
    [
        (200, READY, Readiness(True)),
        (
            200,
            {**READY, "object_store": {"state": "unavailable", "reason": "no such bucket"}},
            Readiness(True, artifacts_problem="no such bucket"),
        ),
        (200, {**READY, "object_store": {"state": "forwarded"}}, Readiness(True)),
        (
            503,
            {**READY, "database": {"state": "unavailable", "reason": "connection refused"}},
            Readiness(False, "database unavailable: connection refused"),
        ),
        (503, {**READY, "stock": {"state": "restarting"}}, Readiness(False, "stock MLflow restarts")),
        (503, {}, Readiness(False, "it answers 503")),
        (503, [], Readiness(False, "it answers 503")),
    ],
)
def test_the_answer_tells_the_reason(status: int, content: object, expected: Readiness) -> None:
    with answering(status, json.dumps(content).encode()) as port:
        assert ask(port, None) == expected


def test_what_answers_something_else_is_not_ready() -> None:
    with answering(200, b"<html>") as port:
        found = ask(port, None)
    assert (found.ready, found.answers) == (False, False)


def test_nobody_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert ask(port, None) == Readiness(False, "no answer: Connection refused", answers=False)


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    key = PrivateKey.generate()
    attributes = CertificateRequestAttributes(common_name=name, sans_dns=[name], is_ca=True)
    made = Certificate.generate_self_signed_ca(attributes, key, validity=datetime.timedelta(days=1))
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    for path, content in zip(paths, (made, key), strict=True):
        path.write_text(str(content))
    return paths


def test_over_tls_only_our_own_certificate_is_believed(tmp_path: Path) -> None:
    ours, other = certificate(tmp_path, "mlflow.lan"), certificate(tmp_path, "other.lan")
    with answering(200, json.dumps(READY).encode(), ours) as port:
        assert ask(port, ours[0].read_text()) == Readiness(True)
        assert not ask(port, other[0].read_text()).ready


def test_waiting_ends_when_the_server_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([Readiness(False, "starting"), Readiness(False, "starting"), Readiness(True)])
    pauses: list[float] = []
    monkeypatch.setattr(readiness, "ask", lambda port, certificate: next(answers))
    monkeypatch.setattr("time.sleep", pauses.append)
    assert readiness.wait(1, None, 60) == Readiness(True)
    assert len(pauses) == 2


def test_waiting_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "ask", lambda port, certificate: Readiness(False, "starting"))
    assert readiness.wait(1, None, 0) == Readiness(False, "starting")
