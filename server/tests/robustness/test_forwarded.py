"""What stock MLflow answers, under bad input: its own answers, but no hang and no lost worker of ours."""

from __future__ import annotations

import json

from robustness.bodies import TOP_LEVELS, WORDS
from robustness.conftest import MAX_BODY, SLOWEST, Target
from robustness.wire import JSON, head

# Stock answers some of this with a 500 of its own; it is forwarded as it is.
POSTS = (
    "/api/3.0/mlflow/traces/search",
    "/api/3.0/mlflow/datasets/search",
    "/api/2.0/mlflow/webhooks",
    "/graphql",
    "/v1/traces",
)
GETS = ("/api/3.0/mlflow/scorers/list", "/api/2.0/mlflow/webhooks", "/ajax-api/3.0/mlflow/get-trace-artifact")


def test_bad_input_comes_back_with_an_answer(forwarding: Target) -> None:
    with forwarding.wire() as wire:
        for path in POSTS:
            for body in TOP_LEVELS:
                answer = wire.ask("POST", path, body)
                assert answer.seconds < SLOWEST, (path, body[:50])
                assert "x-request-id" in answer.headers
                # A 503 would say that stock went away over it.
                assert answer.status != 503, (path, body[:50], answer.body[:300])
        for path in GETS:
            for word in WORDS:
                answer = wire.ask("GET", f"{path}?name={word}&experiment_id={word}")
                assert (answer.seconds < SLOWEST, answer.status != 503) == (True, True), (path, word[:50])


def test_slow_and_broken_bodies_are_ours_to_refuse(forwarding: Target) -> None:
    path = POSTS[0].encode()
    with forwarding.wire() as wire:
        stalled = head("POST", path, [("Content-Type", JSON), ("Content-Length", "100")]) + b"{"
        assert forwarding.check(wire.exchange(stalled), "stalled").status == 408
        broken = head("POST", path, [("Content-Type", JSON), ("Transfer-Encoding", "chunked")]) + b"zz\r\n"
        assert forwarding.check(wire.exchange(broken), "broken").status == 400
        large = wire.ask("POST", POSTS[0], b'{"filter": "' + b"x" * MAX_BODY + b'"}')
        assert (large.status < 500, large.seconds < SLOWEST) == (True, True), large.body[:300]


def test_natively_and_forwarded_at_once(forwarding: Target) -> None:
    """A native operation that a request's option forwards has stock's answer, whatever the body is."""
    with forwarding.wire() as wire:
        for body in TOP_LEVELS:
            answer = wire.ask(
                "POST", "/api/2.0/mlflow/runs/search", body, headers=[("X-MLFLOW-WORKSPACE", "somewhere")]
            )
            assert answer.status != 503
        body = json.dumps({"name": "elsewhere", "artifact_location": "s3://bucket/\0"}).encode()
        assert wire.ask("POST", "/api/2.0/mlflow/experiments/create", body).status < 500
