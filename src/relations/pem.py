"""Certificates in PEM, as other charms hand them out."""

from __future__ import annotations

import re
from collections.abc import Iterable

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")


def certificates(text: str) -> tuple[str, ...] | None:
    """The certificates of a PEM text, in order; None where one of them, or all of the text, is none."""
    found = tuple(_CERTIFICATE.findall(text))
    if not found or not all(_is_certificate(one) for one in found):
        return None
    return found


def bundle(parts: Iterable[str]) -> str:
    """Certificates as one file."""
    return "".join(part.strip() + "\n" for part in parts)


def _is_certificate(text: str) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(text.encode())
        # These are read only when asked for, and fail only then.
        _ = certificate.subject, certificate.issuer, certificate.extensions, certificate.public_key()
    except (ValueError, x509.DuplicateExtension, UnsupportedAlgorithm):
        return False
    return True
