"""TLS for the server: the requirer's side of ``tls-certificates``, through the published library."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import ops
from charmlibs.interfaces.tls_certificates import (
    CertificateRequestAttributes,
    TLSCertificatesRequiresV4,
)
from cryptography import x509

from relations import pem
from relations.databag import Problem, decoded, remote, remote_name, single

ENDPOINT = "certificates"

_DNS_NAME = re.compile(r"(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?", re.ASCII)
_LONGEST_COMMON_NAME = 64


@dataclass(frozen=True)
class ServingCertificate:
    """What the server shows. ``chain``: PEM of its certificate and of those that lead to, without, the root ``ca``."""

    chain: str
    private_key: str = field(repr=False)
    ca: str


class Certificates:
    """The endpoint ``certificates``: each unit has a key, a request for ``names`` and a certificate of its own.

    The key is made in this process and kept as a secret of the unit. The library renews before the expiry, when Juju
    says that the certificate's secret expired, and asks anew when the names changed.
    """

    def __init__(self, charm: ops.CharmBase, names: Sequence[str]) -> None:
        self._charm = charm
        self._request = _request(charm.app.name, names)
        relation = single(charm, ENDPOINT)
        self._malformed = relation is not None and not _is_well_formed(remote(relation))
        # The library raises on what is no certificate, also in hooks that it observes by itself.
        self._requirer = None if self._malformed else self._observe(charm)

    @property
    def related(self) -> bool:
        return single(self._charm, ENDPOINT) is not None

    @property
    def certificate(self) -> ServingCertificate | None:
        """This unit's certificate; None while there is none for these names (see ``problem``)."""
        if self._requirer is None or not self.related:
            return None
        assigned, key = self._requirer.get_assigned_certificate(self._request)
        if assigned is None or key is None or assigned.revoked:
            return None
        authority = str(assigned.ca).strip() + "\n"
        given = [str(certificate) for certificate in assigned.chain]
        return ServingCertificate(_ordered(str(assigned.certificate), [*given, authority]), str(key), authority)

    @property
    def problem(self) -> str | None:
        """Why an integrated authority gives no certificate."""
        loaded = self._problem()
        return None if loaded is None else loaded.text

    @property
    def waiting(self) -> bool:
        """Whether the problem passes by itself."""
        loaded = self._problem()
        return loaded is not None and loaded.waiting

    def _observe(self, charm: ops.CharmBase) -> TLSCertificatesRequiresV4:
        ingress = charm.on["ingress"]
        when_names_may_change = [
            charm.on.config_changed,
            charm.on.upgrade_charm,
            charm.on.update_status,
            ingress.relation_changed,
            ingress.relation_broken,
        ]
        return TLSCertificatesRequiresV4(
            charm, ENDPOINT, certificate_requests=[self._request], refresh_events=when_names_may_change
        )

    def _problem(self) -> Problem | None:
        relation = single(self._charm, ENDPOINT)
        if relation is None or self.certificate is not None:
            return None
        provider = remote_name(relation)
        if self._malformed or self._requirer is None:
            return Problem(f"{provider} handed out a certificate that is none")
        own = {request.certificate_signing_request for request in self._requirer.get_csrs_from_requirer_relation_data()}
        if any(error.certificate_signing_request in own for error in self._requirer.get_request_errors()):
            return Problem(f"{provider} refused to issue a certificate for these names")
        return Problem(f"waiting for {provider} to issue a certificate", waiting=True)


def _request(application: str, names: Sequence[str]) -> CertificateRequestAttributes:
    """The request for names and addresses; what is neither is left out."""
    addresses, dns_names = set(), []
    for name in names:
        try:
            addresses.add(str(ipaddress.ip_address(name)))
        except ValueError:
            if _DNS_NAME.fullmatch(name):
                dns_names.append(name)
    common_name = next((name for name in dns_names if len(name) <= _LONGEST_COMMON_NAME), application)
    return CertificateRequestAttributes(common_name=common_name, sans_dns=dns_names, sans_ip=addresses)


def _is_well_formed(databag: Mapping[str, str]) -> bool:
    """Whether the library can read a provider's databag."""
    if any(name in databag and decoded(databag[name]) is None for name in ("request_errors", "capabilities")):
        return False
    if "certificates" not in databag:
        return True
    issued = decoded(databag["certificates"])
    return isinstance(issued, list) and all(isinstance(each, dict) and _is_issued(each) for each in issued)


def _is_issued(issued: Mapping[str, object]) -> bool:
    chain = issued.get("chain") or []
    if not isinstance(chain, list):
        return False
    texts = [issued.get("certificate"), issued.get("ca"), *chain]
    readable = all(isinstance(text, str) and _is_one_certificate(text) for text in texts)
    request = issued.get("certificate_signing_request")
    return readable and isinstance(request, str) and _is_request(request)


def _is_one_certificate(text: str) -> bool:
    found = pem.certificates(text)
    return found is not None and text.lstrip().startswith(found[0])


def _is_request(text: str) -> bool:
    try:
        x509.load_pem_x509_csr(text.encode())
    except ValueError:
        return False
    return True


def _ordered(leaf: str, others: Sequence[str]) -> str:
    """The leaf and, in order, those of the others that issued it, without the root: providers order them variously."""
    known = {}
    for text in others:
        certificate = x509.load_pem_x509_certificate(text.encode())
        known[certificate.subject] = (certificate, text)
    chain, current = [leaf], x509.load_pem_x509_certificate(leaf.encode())
    while current.issuer != current.subject and current.issuer in known:
        current, text = known.pop(current.issuer)
        if current.issuer != current.subject:
            chain.append(text)
    return pem.bundle(chain)
