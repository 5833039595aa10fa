"""Metrics, alerts, dashboards and logs: what Prometheus, Grafana and Loki get, in the form that their charms read."""

from __future__ import annotations

import inspect
import json
import re
import socket
from pathlib import Path
from typing import Any

import ops.testing
import pytest
import yaml
from cosl import JujuTopology
from cosl.grafana_dashboard import DashboardPath40UID
from cosl.utils import LZMABase64
from hypothesis import HealthCheck, given, settings
from tests.unit.relations.certificate_texts import authority
from tests.unit.relations.tiny import app_data, hostile, read, transition, unit_data

from relations.dashboards import Dashboards
from relations.log_forwarding import LogForwarding
from relations.metrics import Metrics
from relations.topology import Topology
from tracking_server.door import table
from tracking_server.metrics import Counts, exposition
from tracking_server.store.postgres import pool

SOURCES = Path(__file__).parents[3] / "src"
MODEL = ops.testing.Model("research", uuid="0b7f7f5e-7d4b-4d3a-9c0e-0123456789ab")


def state(*relations: ops.testing.Relation, leader: bool = True) -> ops.testing.State:
    return ops.testing.State(relations=relations, leader=leader, model=MODEL)


def scraped() -> ops.testing.Relation:
    return ops.testing.Relation("metrics-endpoint", remote_app_name="prometheus-k8s")


def test_the_topology_is_the_one_of_the_published_package() -> None:
    ours, theirs = read(state(), lambda charm: (Topology.of(charm), JujuTopology.from_charm(charm)))
    assert dict(ours.metadata) == dict(theirs.as_dict())
    assert dict(ours.application_labels) == dict(theirs.alert_expression_dict)
    assert ours.matchers == theirs.alert_expression_str
    assert ours.identifier == theirs.identifier


def test_prometheus_is_told_where_to_scrape() -> None:
    relation = scraped()
    after, _ = transition(state(relation), lambda charm: Metrics(charm).publish(5000, "http"))
    written = app_data(after, relation)
    assert json.loads(written["scrape_jobs"]) == [
        {"metrics_path": "/-/metrics", "scheme": "http", "static_configs": [{"targets": ["*:5000"]}]}
    ]
    assert json.loads(written["scrape_metadata"]) == {
        "model": "research",
        "model_uuid": MODEL.uuid,
        "application": "mlflow-tracking-k8s",
        "unit": "mlflow-tracking-k8s/0",
        "charm_name": "mlflow-tracking-k8s",
    }
    assert unit_data(after, relation) == {
        "prometheus_scrape_unit_address": "192.0.2.0",
        "prometheus_scrape_unit_name": "mlflow-tracking-k8s/0",
        "prometheus_scrape_unit_fqdn": socket.getfqdn(),
    }


def test_https_is_verified_by_the_services_name() -> None:
    relation = scraped()
    after, _ = transition(state(relation), lambda charm: Metrics(charm).publish(5000, "https", ca=authority("ca")))
    job = json.loads(app_data(after, relation)["scrape_jobs"])[0]
    assert job["scheme"] == "https"
    assert job["tls_config"] == {
        "server_name": "mlflow-tracking-k8s.research.svc.cluster.local",
        "ca_file": authority("ca"),
    }


def test_a_unit_with_an_ipv6_address_is_scraped_by_name() -> None:
    relation = scraped()
    network = ops.testing.Network("metrics-endpoint", [ops.testing.BindAddress([ops.testing.Address("fd00::5")])])
    given_state = ops.testing.State(relations={relation}, networks={network}, model=MODEL)
    after, _ = transition(given_state, lambda charm: Metrics(charm).publish(5000, "http"))
    assert unit_data(after, relation)["prometheus_scrape_unit_address"] == socket.getfqdn()


@pytest.mark.parametrize("leader", [True, False])
def test_nothing_is_written_twice_and_only_the_leader_writes_for_all(leader: bool) -> None:
    relations = [scraped(), ops.testing.Relation("grafana-dashboard"), ops.testing.Relation("logging")]

    def publish(charm: ops.CharmBase) -> None:
        Metrics(charm).publish(5000, "http")
        Dashboards(charm).publish()
        LogForwarding(charm).publish()

    once, _ = transition(state(*relations, leader=leader), publish)
    assert [bool(app_data(once, relation)) for relation in relations] == [leader] * 3
    twice, _ = transition(once, publish)
    assert [twice.get_relation(relation.id) for relation in relations] == [
        once.get_relation(relation.id) for relation in relations
    ]


def series(pattern: str, expression: str) -> set[str]:
    return set(re.findall(pattern, expression))


def sample() -> str:
    """The server's metrics, every name once."""
    return exposition(Counts({"r": {"5xx": 1}}, {"r": {"schema": 1}}, {"r": [0] * 15}, {"r": 0.0}))


def metric_names() -> set[str]:
    return series(r"^(\w+)\{", "\n".join(sample().splitlines())) | set(re.findall(r"\n(\w+)\{", sample()))


def rules_of(kind: str) -> list[dict[str, Any]]:
    files = sorted((SOURCES / kind).glob("*.rules.yaml"))
    return [rule for path in files for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((SOURCES / "grafana_dashboards" / "tracking_server.json").read_text())
    return content


def queries(kind: str) -> list[str]:
    panels = dashboard()["panels"]
    return [each["expr"] for panel in panels for each in panel["targets"] if each["datasource"]["type"] == kind]


@pytest.mark.parametrize(
    "expression", [*(rule["expr"] for rule in rules_of("prometheus_alert_rules")), *queries("prometheus")]
)
def test_every_query_asks_for_what_the_server_says(expression: str) -> None:
    named = series(r"\b((?:tracking_server_\w+|up))\{", expression)
    assert named
    assert named <= metric_names() | {"up"}
    labels = series(r"[{,]\s*(\w+)(?:=|!)", expression)
    assert labels - {"juju_model", "juju_model_uuid", "juju_application", "juju_unit"} <= {"route", "status", "reason"}
    assert series(r'status="(\w+)"', expression) <= {"5xx"}


def test_the_routes_that_the_alerts_leave_out_exist() -> None:
    excluded = {route.label for route in table.TABLE if route.label.startswith("artifacts.")}
    assert "artifacts.proxy-upload" in excluded
    assert any(r'route!~"artifacts\\..*"' in rule["expr"] for rule in rules_of("prometheus_alert_rules"))


def test_the_log_line_that_an_alert_waits_for_is_the_servers() -> None:
    phrases = [phrase for rule in rules_of("loki_alert_rules") for phrase in re.findall(r'\|= "([^"]+)"', rule["expr"])]
    assert phrases
    assert all(phrase in inspect.getsource(pool) for phrase in phrases)


@pytest.mark.parametrize("rule", [*rules_of("prometheus_alert_rules"), *rules_of("loki_alert_rules")])
def test_every_alert_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"].keys() == {"summary", "description"}
    selectors = re.findall(r"\{[^}]*\}", rule["expr"])
    assert selectors
    assert all("%%juju_topology%%" in selector for selector in selectors)


def test_alerts_are_about_this_application_only() -> None:
    prometheus, loki = scraped(), ops.testing.Relation("logging")

    def publish(charm: ops.CharmBase) -> None:
        Metrics(charm).publish(5000, "http")
        LogForwarding(charm).publish()

    after, _ = transition(state(prometheus, loki), publish)
    own = f'juju_model="research", juju_model_uuid="{MODEL.uuid}", juju_application="mlflow-tracking-k8s"'
    for relation, kind in ((prometheus, "prometheus_alert_rules"), (loki, "loki_alert_rules")):
        groups = json.loads(app_data(after, relation)["alert_rules"])["groups"]
        published = [rule for group in groups for rule in group["rules"]]
        assert [rule["alert"] for rule in published] == [rule["alert"] for rule in rules_of(kind)]
        assert all(own in rule["expr"] and "%%" not in rule["expr"] for rule in published)
        assert all(rule["labels"]["juju_charm"] == "mlflow-tracking-k8s" for rule in published)
        # What Prometheus's and Loki's charms take for names that are already unique.
        assert all(re.fullmatch(r"\w+_0b7f7f5e_\w+_rules", group["name"]) for group in groups)
    assert json.loads(app_data(after, loki)["metadata"])["model"] == "research"


def test_grafana_can_read_the_dashboard() -> None:
    relation = ops.testing.Relation("grafana-dashboard")
    after, _ = transition(state(relation), lambda charm: Dashboards(charm).publish())
    published = json.loads(app_data(after, relation)["dashboards"])
    template = published["templates"]["file:tracking_server"]
    content = json.loads(LZMABase64.decompress(template["content"]))
    uid = DashboardPath40UID.generate("mlflow-tracking-k8s", "file:tracking_server")
    assert content == {**dashboard(), "uid": uid}
    assert template["dashboard_alt_uid"] == uid
    assert DashboardPath40UID.is_valid(uid)
    assert (template["charm"], template["inject_dropdowns"]) == ("mlflow-tracking-k8s", True)
    assert published["uuid"]


def test_the_dashboards_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells


def loki(*endpoints: str, number: int = 3) -> ops.testing.Relation:
    units: dict[int, dict[str, str]] = {index: {"endpoint": text} for index, text in enumerate(endpoints)}
    return ops.testing.Relation("logging", id=number, remote_app_name="loki", remote_units_data=units)


def targets_of(given_state: ops.testing.State) -> dict[str, Any]:
    return dict(read(given_state, lambda charm: LogForwarding(charm).targets))


def test_every_unit_of_loki_is_a_target_of_pebble() -> None:
    relation = loki('{"url": "http://loki-0:3100/loki/api/v1/push"}', '{"url": "http://loki-1:3100/loki/api/v1/push"}')
    targets = targets_of(state(relation))
    assert list(targets) == ["loki-3-loki-0", "loki-3-loki-1"]
    assert targets["loki-3-loki-0"] == {
        "override": "replace",
        "type": "loki",
        "location": "http://loki-0:3100/loki/api/v1/push",
        "services": ["all"],
        "labels": {
            "product": "Juju",
            "charm": "mlflow-tracking-k8s",
            "job": "juju_research_0b7f7f5e_mlflow-tracking-k8s",
            "juju_model": "research",
            "juju_model_uuid": MODEL.uuid,
            "juju_application": "mlflow-tracking-k8s",
            "juju_unit": "mlflow-tracking-k8s/0",
        },
    }
    plan = ops.pebble.Plan(yaml.safe_dump({"log-targets": targets}))
    assert plan.log_targets["loki-3-loki-1"].services == ["all"]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"url": 3}', '{"url": ""}', '{"url": "loki:3100"}', "http://loki"])
def test_a_unit_that_says_nothing_usable_is_no_target(text: str) -> None:
    assert targets_of(state(loki(text) if text else ops.testing.Relation("logging"))) == {}


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=40, deadline=None)
@given(databag=hostile(("endpoint", "event")))
def test_no_databag_raises(databag: dict[str, str]) -> None:
    relations = [
        ops.testing.Relation("logging", remote_app_data=databag, remote_units_data={0: databag}),
        ops.testing.Relation("metrics-endpoint", remote_app_data=databag),
        ops.testing.Relation("grafana-dashboard", remote_app_data=databag),
    ]

    def everything(charm: ops.CharmBase) -> object:
        Metrics(charm).publish(5000, "http")
        Dashboards(charm).publish()
        LogForwarding(charm).publish()
        return LogForwarding(charm).targets

    transition(state(*relations), everything)
