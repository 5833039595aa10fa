"""TLS: each unit asks for a certificate of its own and gets it, from the published library's provider."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Callable
from typing import Any, TypeVar

import ops.testing
import pytest
from charmlibs.interfaces.tls_certificates import (
    Certificate,
    CertificateSigningRequest,
)
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from hypothesis import HealthCheck, given, settings
from tests.unit.relations.certificate_texts import AUTHORITY_KEY, authority
from tests.unit.relations.tiny import METADATA, hostile, unit_data

from relations.certificates import Certificates

NAMES = ("mlflow.research.svc.cluster.local", "mlflow", "10.1.2.3", "fd00:0::5", "not a name", "")
Result = TypeVar("Result")


class ServingCharm(ops.CharmBase):
    """Asks for a certificate."""

    names: tuple[str, ...] = NAMES

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.certificates = Certificates(self, self.names)


class RenamedCharm(ServingCharm):
    """The same after its names changed."""

    names = ("mlflow.example.com",)


def run(
    state: ops.testing.State,
    event: Callable[[ops.testing.CharmEvents], Any],
    look: Callable[[Certificates], Result],
    charm: type[ServingCharm] = ServingCharm,
) -> tuple[ops.testing.State, Result]:
    context = ops.testing.Context(charm, meta=METADATA)
    with context(event(context.on), state) as manager:
        after = manager.run()
        return after, look(manager.charm.certificates)


def nothing(_: Certificates) -> None:
    return None


def authority_charm(databag: dict[str, str] | None = None) -> ops.testing.Relation:
    return ops.testing.Relation("certificates", id=5, remote_app_name="vault", remote_app_data=databag or {})


def state(relation: ops.testing.Relation, *secrets: ops.testing.Secret) -> ops.testing.State:
    return ops.testing.State(relations={relation}, secrets=secrets)


def asked(charm: type[ServingCharm] = ServingCharm, before: ops.testing.State | None = None) -> ops.testing.State:
    """The state after a unit has asked."""
    relation = authority_charm()
    if before is None:
        return run(state(relation), lambda on: on.relation_created(relation), nothing, charm)[0]
    return run(before, lambda on: on.config_changed(), nothing, charm)[0]


def requests(after: ops.testing.State) -> list[str]:
    written = json.loads(unit_data(after, authority_charm())["certificate_signing_requests"])
    return [each["certificate_signing_request"] for each in written]


def issued(request: str, *, by: str = "root", days: float = 90, chain: bool = True) -> dict[str, object]:
    root = Certificate.from_string(authority(by))
    signed = Certificate.generate(
        CertificateSigningRequest.from_string(request), root, AUTHORITY_KEY, datetime.timedelta(days=days)
    )
    order = [str(root), str(signed)] if chain else None
    return {"certificate": str(signed), "ca": str(root), "chain": order, "certificate_signing_request": request}


def answered(after: ops.testing.State, *certificates: dict[str, object], **more: object) -> ops.testing.State:
    """The state in which the authority has answered."""
    relation = after.get_relation(5)
    assert isinstance(relation, ops.testing.Relation)
    databag = {"certificates": json.dumps(certificates), **{name: json.dumps(value) for name, value in more.items()}}
    return dataclasses.replace(after, relations=frozenset((dataclasses.replace(relation, remote_app_data=databag),)))


def on_changed(given_state: ops.testing.State) -> Callable[[ops.testing.CharmEvents], Any]:
    relation = given_state.get_relation(5)
    assert isinstance(relation, ops.testing.Relation)
    return lambda on: on.relation_changed(relation)


def test_a_unit_asks_for_its_names_and_keeps_its_key_secret() -> None:
    after = asked()
    (text,) = requests(after)
    request = x509.load_pem_x509_csr(text.encode())
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {"mlflow.research.svc.cluster.local", "mlflow"}
    assert {str(each) for each in names.get_values_for_type(x509.IPAddress)} == {"10.1.2.3", "fd00::5"}
    (common_name,) = request.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    assert common_name.value == "mlflow.research.svc.cluster.local"
    (key,) = after.secrets
    assert key.owner == "unit"
    assert key.tracked_content is not None
    assert "PRIVATE KEY" in key.tracked_content["private-key"]


def test_a_name_too_long_for_a_common_name_is_asked_for_all_the_same() -> None:
    long = "a" * 50 + ".very-long-model-name.svc.cluster.local"

    class LongCharm(ServingCharm):
        names = (long,)

    (text,) = requests(asked(LongCharm))
    request = CertificateSigningRequest.from_string(text)
    assert (request.common_name, request.sans_dns) == ("mlflow-tracking-k8s", {long})


def test_what_was_issued_is_served_with_its_key() -> None:
    after = asked()
    ready = answered(after, issued(requests(after)[0]))
    later, certificate = run(ready, on_changed(ready), lambda certificates: certificates.certificate)
    assert certificate is not None
    (leaf,) = x509.load_pem_x509_certificates(certificate.chain.encode())
    key = load_pem_private_key(certificate.private_key.encode(), None)
    assert leaf.public_key() == key.public_key()
    assert certificate.ca == authority("root") + "\n"
    assert "PRIVATE KEY" not in repr(certificate)
    # The next hook finds the same, and asks for nothing.
    again, same = run(later, lambda on: on.config_changed(), lambda certificates: certificates.certificate)
    assert same == certificate
    assert unit_data(again, authority_charm()) == unit_data(later, authority_charm())
    assert {each.id: each.latest_content for each in again.secrets} == {
        each.id: each.latest_content for each in later.secrets
    }


def signed(subject: x509.Name, public_key: Any, issuer: x509.Name, key: Any) -> str:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(issuer, subject, public_key, x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()


def test_the_chain_leads_from_the_certificate_upwards_without_the_root() -> None:
    after = asked()
    request = requests(after)[0]
    root = x509.load_pem_x509_certificate(authority("root").encode())
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "middle")])
    root_key = load_pem_private_key(str(AUTHORITY_KEY).encode(), None)
    middle = signed(name, key.public_key(), root.subject, root_key)
    asking = x509.load_pem_x509_csr(request.encode())
    leaf = signed(asking.subject, asking.public_key(), name, key)
    entry = {**issued(request), "certificate": leaf, "chain": [authority("root"), middle, leaf]}
    ready = answered(after, entry)
    _, certificate = run(ready, on_changed(ready), lambda certificates: certificates.certificate)
    assert certificate is not None
    assert certificate.chain == f"{leaf}{middle}"


def test_other_names_are_asked_for_anew_and_the_old_certificate_is_not_served() -> None:
    after = asked()
    ready = answered(after, issued(requests(after)[0]))
    served, _ = run(ready, on_changed(ready), nothing)
    renamed = asked(RenamedCharm, served)
    assert requests(renamed) != requests(served)
    (text,) = requests(renamed)
    assert CertificateSigningRequest.from_string(text).sans_dns == {"mlflow.example.com"}
    _, certificate = run(renamed, on_changed(renamed), lambda each: each.certificate, RenamedCharm)
    assert certificate is None


def test_an_expiring_certificate_is_asked_for_anew_with_the_same_key() -> None:
    after = asked()
    ready = answered(after, issued(requests(after)[0]))
    served, before = run(ready, on_changed(ready), lambda certificates: certificates.certificate)
    secret = next(each for each in served.secrets if "-certificate-" in (each.label or ""))
    assert secret.expire is not None
    renewing, _ = run(served, lambda on: on.secret_expired(secret, revision=1), nothing)
    assert requests(renewing) != requests(served)
    renewed = answered(renewing, issued(requests(renewing)[0]))
    _, certificate = run(renewed, on_changed(renewed), lambda certificates: certificates.certificate)
    assert certificate is not None
    assert before is not None
    assert (certificate.private_key == before.private_key, certificate.chain == before.chain) == (True, False)


def test_a_broken_relation_leaves_no_certificate() -> None:
    after = asked()
    ready = answered(after, issued(requests(after)[0]))
    served, _ = run(ready, on_changed(ready), nothing)
    relation = served.get_relation(5)
    assert isinstance(relation, ops.testing.Relation)
    _, found = run(served, lambda on: on.relation_broken(relation), lambda each: (each.related, each.certificate))
    assert found == (False, None)


def problem(certificates: Certificates) -> tuple[str | None, bool, bool]:
    return certificates.problem, certificates.waiting, certificates.certificate is None


def test_a_certificate_is_waited_for() -> None:
    after = asked()
    _, seen = run(after, lambda on: on.update_status(), problem)
    assert seen == ("waiting for vault to issue a certificate", True, True)


def test_a_refusal_is_a_problem() -> None:
    after = asked()
    refusal = {"csr": requests(after)[0], "error": {"code": 101, "name": "IP_NOT_ALLOWED", "message": "no"}}
    refused = answered(after, request_errors=[refusal])
    _, seen = run(refused, on_changed(refused), problem)
    assert seen == ("vault refused to issue a certificate for these names", False, True)


@pytest.mark.parametrize("broken", ["certificate", "ca", "certificate_signing_request"])
@pytest.mark.parametrize("text", ["hunter2", "", 3, "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----"])
def test_what_is_no_certificate_is_a_problem_and_no_failed_hook(broken: str, text: object) -> None:
    after = asked()
    wrong = answered(after, {**issued(requests(after)[0]), broken: text})
    _, seen = run(wrong, on_changed(wrong), problem)
    assert seen == ("vault handed out a certificate that is none", False, True)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=25, deadline=None)
@given(databag=hostile(("certificates", "request_errors", "capabilities")))
def test_no_databag_raises(databag: dict[str, str]) -> None:
    relation = authority_charm(databag)
    _, seen = run(state(relation), lambda on: on.relation_changed(relation), problem)
    assert seen[0] is not None
    assert seen[2]
