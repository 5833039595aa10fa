"""Certificate authorities that other charms hand out, by both versions of certificate_transfer."""

from __future__ import annotations

import json

import ops.testing
import pytest
from charmlibs.interfaces.certificate_transfer import CertificateTransferProvides
from hypothesis import HealthCheck, given, settings
from tests.unit.relations.certificate_texts import authority
from tests.unit.relations.tiny import METADATA, app_data, hostile, read, transition, unit_data

from relations.trusted_authorities import TrustedAuthorities

ONE, TWO, THREE = sorted(authority(name) for name in ("one", "two", "three"))


def v1(*certificates: str) -> ops.testing.Relation:
    databag = {"certificates": json.dumps(certificates), "version": "1"}
    return ops.testing.Relation("receive-ca-cert", remote_app_name="vault", remote_app_data=databag)


def v0(**databag: str) -> ops.testing.Relation:
    return ops.testing.Relation("receive-ca-cert", remote_app_name="old", remote_units_data={0: databag})


def state(*relations: ops.testing.Relation, leader: bool = True) -> ops.testing.State:
    return ops.testing.State(relations=relations, leader=leader)


def look(charm: ops.CharmBase) -> tuple[str | None, str | None]:
    return TrustedAuthorities(charm).bundle, TrustedAuthorities(charm).problem


def test_without_relations_there_is_no_bundle() -> None:
    assert read(state(), look) == (None, None)
    assert read(state(v1()), look) == (None, None)
    assert not read(state(), lambda charm: TrustedAuthorities(charm).related)


def test_all_authorities_are_sorted_and_stand_once() -> None:
    relations = (v1(THREE, ONE), v1(f"{ONE}\n{TWO}\n"), v0(ca=THREE, certificate="x", chain=json.dumps([TWO])))
    assert read(state(*relations), look) == (f"{ONE}\n{TWO}\n{THREE}\n", None)


@pytest.mark.parametrize(
    "databag",
    [
        {"ca": ONE, "certificate": ONE, "chain": json.dumps([TWO])},
        {"ca": json.dumps(ONE), "certificate": json.dumps(ONE), "chain": json.dumps([TWO]), "version": "0"},
        {"ca": ONE, "chain": TWO},
    ],
)
def test_v0_is_read_in_every_spelling(databag: dict[str, str]) -> None:
    assert read(state(v0(**databag)), look) == (f"{ONE}\n{TWO}\n", None)


def test_what_is_no_certificate_is_named_and_left_out() -> None:
    bundle, problem = read(state(v1(ONE, "hunter2")), look)
    assert bundle == f"{ONE}\n"
    assert problem == "vault handed out a certificate authority that is not PEM"


def test_the_leader_says_its_version_once() -> None:
    relation = v1()
    after, _ = transition(state(relation), lambda charm: TrustedAuthorities(charm).request())
    assert app_data(after, relation) == {"version": "1"}
    follower, _ = transition(state(relation, leader=False), lambda charm: TrustedAuthorities(charm).request())
    assert app_data(follower, relation) == {}


class TracedCharm(ops.CharmBase):
    """Watches the same endpoint for its traces."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        ops.tracing.Tracing(self, "tracing", ca_relation_name="receive-ca-cert")


def test_the_library_inside_of_ops_tracing_takes_nothing_away() -> None:
    relation = v0(ca=ONE, chain=json.dumps([TWO]))
    context = ops.testing.Context(TracedCharm, meta=METADATA)
    with context(context.on.relation_changed(relation), state(relation)) as manager:
        manager.run()
        assert look(manager.charm) == (f"{ONE}\n{TWO}\n", None)


class Provider(ops.CharmBase):
    """A provider of the published library."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.transfer = CertificateTransferProvides(self, "send")
        framework.observe(self.on.send_relation_changed, self._send)

    def _send(self, _: ops.EventBase) -> None:
        self.transfer.add_certificates({ONE, TWO})


@pytest.mark.parametrize("asked", [{"version": "1"}, {}])
def test_the_published_provider_is_understood(asked: dict[str, str]) -> None:
    theirs = ops.testing.Relation("send", remote_app_data=asked)
    meta = {"name": "provider", "provides": {"send": {"interface": "certificate_transfer"}}}
    context = ops.testing.Context(Provider, meta=meta)
    sent = context.run(context.on.relation_changed(theirs), ops.testing.State(relations={theirs}, leader=True))
    relation = ops.testing.Relation(
        "receive-ca-cert", remote_app_data=app_data(sent, theirs), remote_units_data={0: unit_data(sent, theirs)}
    )
    assert read(state(relation), look) == (f"{ONE}\n{TWO}\n", None)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=40, deadline=None)
@given(application=hostile(("certificates", "version")), unit=hostile(("ca", "chain", "certificate", "version")))
def test_no_databag_raises(application: dict[str, str], unit: dict[str, str]) -> None:
    relation = ops.testing.Relation("receive-ca-cert", remote_app_data=application, remote_units_data={0: unit})
    assert read(state(relation, v1(ONE)), lambda charm: TrustedAuthorities(charm).bundle) == f"{ONE}\n"
