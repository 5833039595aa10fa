"""The library for charms that use a tracking server: from the provider's side to the consumer's environment."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import ops.testing
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from tests.unit.relations.certificate_texts import authority
from tests.unit.relations.tiny import app_data, hostile, transition

from charms.mlflow_tracking_k8s.v0 import tracking_server as library
from relations.consumers import Consumers

URI = "https://mlflow.research.svc.cluster.local:5000"
CONSUMER = Path(__file__).parents[2] / "integration" / "requirer_charm"


def load_consumer() -> ModuleType:
    specification = util.spec_from_file_location("consumer_charm", CONSUMER / "src" / "charm.py")
    assert specification is not None
    assert specification.loader is not None
    module = util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


CONSUMER_CHARM = load_consumer().TrackingConsumerCharm


def provided(uri: str | None, ca: str | None = None, *, leader: bool = True) -> dict[str, str]:
    """What our charm writes for a consumer."""
    relation = ops.testing.Relation("tracking-server")
    given_state = ops.testing.State(relations={relation}, leader=leader)
    once, _ = transition(given_state, lambda charm: Consumers(charm).publish(uri, ca))
    twice, _ = transition(once, lambda charm: Consumers(charm).publish(uri, ca))
    assert app_data(twice, relation) == app_data(once, relation)
    return app_data(once, relation)


def consumer(databag: dict[str, str] | None, *secrets: ops.testing.Secret) -> ops.testing.State:
    relations = set()
    if databag is not None:
        relations = {ops.testing.Relation("tracking-server", id=6, remote_app_data=databag)}
    return ops.testing.State(relations=relations, secrets=secrets)


def consumer_context() -> ops.testing.Context[Any]:
    meta = yaml.safe_load((CONSUMER / "metadata.yaml").read_text())
    actions = yaml.safe_load((CONSUMER / "actions.yaml").read_text())
    return ops.testing.Context(CONSUMER_CHARM, meta=meta, actions=actions)


def status(given_state: ops.testing.State) -> object:
    context = consumer_context()
    return context.run(context.on.update_status(), given_state).unit_status


def results(given_state: ops.testing.State) -> dict[str, Any] | None:
    context = consumer_context()
    context.run(context.on.action("get-tracking-server"), given_state)
    return context.action_results


def test_a_consumer_gets_uri_and_authority() -> None:
    given_state = consumer(provided(URI, authority("root")))
    assert status(given_state) == ops.testing.ActiveStatus(URI)
    assert results(given_state) == {
        "mlflow-tracking-uri": URI,
        "mlflow-tracking-server-cert-path": "/etc/ssl/tracking-server.pem",
        "ca-certificate": authority("root") + "\n",
    }


def test_a_server_without_tls_has_no_authority() -> None:
    given_state = consumer(provided("http://mlflow:5000"))
    assert results(given_state) == {"mlflow-tracking-uri": "http://mlflow:5000", "ca-certificate": ""}


def test_a_server_that_is_not_ready_is_waited_for() -> None:
    assert provided(None, authority("root")) == {}
    assert status(consumer({})) == ops.testing.WaitingStatus("waiting for a tracking URI")
    assert status(consumer(None)) == ops.testing.BlockedStatus("integrate tracking-server")
    context = consumer_context()
    with pytest.raises(ops.testing.ActionFailed, match="no tracking server"):
        context.run(context.on.action("get-tracking-server"), consumer({}))


def test_a_withdrawn_uri_is_gone() -> None:
    relation = ops.testing.Relation("tracking-server")
    given_state = ops.testing.State(relations={relation}, leader=True)
    there, _ = transition(given_state, lambda charm: Consumers(charm).publish(URI, authority("root")))
    gone, _ = transition(there, lambda charm: Consumers(charm).publish(None, None))
    assert app_data(gone, relation) == {}


def test_only_the_leader_writes() -> None:
    assert provided(URI, leader=False) == {}


def plain(secret: ops.testing.Secret) -> dict[str, str]:
    content: object = secret.latest_content
    assert isinstance(content, dict)
    return content


def test_credentials_go_by_a_secret_whose_newest_revision_counts() -> None:
    relation = ops.testing.Relation("tracking-server", id=6)
    offered = ops.testing.State(relations={relation}, leader=True)

    def hand_out(password: str) -> Callable[[ops.CharmBase], int]:
        def act(charm: ops.CharmBase) -> int:
            provider = library.TrackingServerProvider(charm)
            provider.publish(URI)
            provider.hand_out(6, username="ana", password=password)
            provider.hand_out(99, username="eve", password=password)
            return charm.model.get_secret(label="tracking-server-6-credentials").get_info().revision

        return act

    first, revision = transition(offered, hand_out("hunter2"))
    (secret,) = first.secrets
    assert plain(secret) == {"username": "ana", "password": "hunter2"}
    databag = app_data(first, relation)
    assert databag == {"tracking-uri": URI, "secret-credentials": secret.id}
    assert list(secret.remote_grants) == [6]
    assert transition(first, hand_out("hunter2"))[1] == revision
    second, next_revision = transition(first, hand_out("hunter3"))
    assert next_revision == revision + 1
    assert plain(next(iter(second.secrets))) == {"username": "ana", "password": "hunter3"}

    granted = ops.testing.Secret(
        {"username": "ana", "password": "hunter2"},
        id=secret.id,
        latest_content={"username": "ana", "password": "hunter3"},
    )
    context = consumer_context()
    with context(context.on.update_status(), consumer(databag, granted)) as manager:
        server = manager.charm._mlflow.server
        manager.run()
    assert server is not None
    assert server.environment() == {
        "MLFLOW_TRACKING_URI": URI,
        "MLFLOW_TRACKING_USERNAME": "ana",
        "MLFLOW_TRACKING_PASSWORD": "hunter3",
    }
    assert "hunter" not in repr(server)
    assert "hunter" not in str(results(consumer(databag, granted)))


def test_credentials_that_cannot_be_read_are_waited_for() -> None:
    databag = {"tracking-uri": URI, "secret-credentials": "secret:csecretthatisnotthere"}
    assert isinstance(status(consumer(databag)), ops.testing.WaitingStatus)


def changes(given_state: ops.testing.State, event: str, *arguments: Any) -> int:
    context = consumer_context()
    context.run(getattr(context.on, event)(*arguments), given_state)
    return sum(isinstance(emitted, library.TrackingServerChangedEvent) for emitted in context.emitted_events)


def test_the_event_is_emitted_when_the_answer_may_be_another() -> None:
    secret = ops.testing.Secret({"token": "a"}, latest_content={"token": "b"}, label="tracking-server-6-credentials")
    other = ops.testing.Secret({"x": "a"}, latest_content={"x": "b"}, label="other")
    given_state = consumer({"tracking-uri": URI, "secret-credentials": secret.id}, secret, other)
    (relation,) = given_state.relations
    assert changes(given_state, "relation_changed", relation) == 1
    assert changes(given_state, "relation_broken", relation) == 1
    assert changes(given_state, "secret_changed", secret) == 1
    assert changes(given_state, "secret_changed", other) == 0
    assert changes(given_state, "update_status") == 0


def test_an_authority_needs_a_file() -> None:
    server = library.TrackingServer(URI, ca=authority("root"))
    with pytest.raises(ValueError, match="file"):
        server.environment()
    assert dataclasses.replace(server, ca=None).environment() == {"MLFLOW_TRACKING_URI": URI}


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=40, deadline=None)
@given(databag=hostile(("tracking-uri", "ca-certificate", "secret-credentials")))
def test_no_databag_raises(databag: dict[str, str]) -> None:
    assert isinstance(status(consumer(databag)), ops.testing.ActiveStatus | ops.testing.WaitingStatus)
