"""Certificates to hand out in tests."""

from __future__ import annotations

import datetime
import functools

from charmlibs.interfaces.tls_certificates import Certificate, CertificateRequestAttributes, PrivateKey

AUTHORITY_KEY = PrivateKey.generate()


@functools.cache
def authority(name: str) -> str:
    """The PEM of a certificate authority of that name."""
    attributes = CertificateRequestAttributes(common_name=name, is_ca=True)
    made = Certificate.generate_self_signed_ca(attributes, AUTHORITY_KEY, validity=datetime.timedelta(days=1))
    return str(made).strip()
