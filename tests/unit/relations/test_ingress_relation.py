"""The ingress relation."""

from __future__ import annotations

import json
import socket

import ops.testing
import pytest
from hypothesis import HealthCheck, given, settings
from tests.unit.relations.tiny import app_data, hostile, read, transition, unit_data

from relations.ingress import Ingress

MODEL = ops.testing.Model("research")


def traefik(text: str | None = None) -> ops.testing.Relation:
    databag = {} if text is None else {"ingress": text}
    return ops.testing.Relation("ingress", remote_app_name="traefik-k8s", remote_app_data=databag)


def state(*relations: ops.testing.Relation, leader: bool = True) -> ops.testing.State:
    return ops.testing.State(relations=relations, leader=leader, model=MODEL, opened_ports={ops.testing.TCPPort(5000)})


def look(charm: ops.CharmBase) -> tuple[str | None, str | None, bool]:
    return Ingress(charm).url, Ingress(charm).problem, Ingress(charm).waiting


def test_the_leader_says_how_to_route_and_each_unit_where_it_is() -> None:
    relation = traefik()
    after, _ = transition(state(relation), lambda charm: Ingress(charm).publish(5000, "https"))
    assert {name: json.loads(value) for name, value in app_data(after, relation).items()} == {
        "model": "research",
        "name": "mlflow-tracking-k8s",
        "port": 5000,
        "is_port_open": True,
        "scheme": "https",
        "strip-prefix": True,
        "healthcheck_params": {
            "path": "/-/ready",
            "hostname": "localhost",
            "scheme": "https",
            "interval": "10s",
            "timeout": "5s",
        },
    }
    own = {name: json.loads(value) for name, value in unit_data(after, relation).items()}
    assert own == {"host": socket.getfqdn(), "ip": "192.0.2.0"}
    again, _ = transition(after, lambda charm: Ingress(charm).publish(5000, "https"))
    assert again.get_relation(relation.id) == after.get_relation(relation.id)


def test_a_follower_says_only_where_it_is() -> None:
    relation = traefik()
    after, _ = transition(state(relation, leader=False), lambda charm: Ingress(charm).publish(5000, "http"))
    assert app_data(after, relation) == {}
    assert unit_data(after, relation).keys() == {"host", "ip"}


def test_without_a_relation_nothing_happens() -> None:
    after, seen = transition(state(), look)
    assert seen == (None, None, False)
    transition(after, lambda charm: Ingress(charm).publish(5000, "http"))


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ('{"url": "http://10.1.2.3/research-mlflow"}', "http://10.1.2.3/research-mlflow"),
        ('{"url": "https://mlflow.example.com:8443/"}', "https://mlflow.example.com:8443"),
        ('{"url": "http://[fd00::5]/m"}', "http://[fd00::5]/m"),
    ],
)
def test_the_url_is_read(text: str, url: str) -> None:
    assert read(state(traefik(text)), look) == (url, None, False)


def test_a_url_is_waited_for() -> None:
    assert read(state(traefik()), look) == (None, "waiting for traefik-k8s to hand out a URL", True)


@pytest.mark.parametrize("text", ["http://x", "null", "{}", '{"url": 1}', '{"url": "ftp://x"}', '{"url": "http://"}'])
def test_what_is_no_url_is_a_problem(text: str) -> None:
    problem = "traefik-k8s handed out a URL that is not http://… or https://…"
    assert read(state(traefik(text)), look) == (None, problem, False)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=40, deadline=None)
@given(databag=hostile(("ingress",)))
def test_no_databag_raises(databag: dict[str, str]) -> None:
    url, problem, _ = read(state(ops.testing.Relation("ingress", remote_app_data=databag)), look)
    assert (url is None) is (problem is not None)
