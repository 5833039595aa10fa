"""Certificate authorities to trust: the requirer's side of ``certificate_transfer``, providers of v0 and v1.

The wire is spoken here: the published library reads no v0 databag that its own kind did not write, and logs databags.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import ops

from relations import pem
from relations.databag import Problem, decoded, remote, remote_name, remote_units, write_for_application

ENDPOINT = "receive-ca-cert"


class TrustedAuthorities:
    """The endpoint ``receive-ca-cert``, of any number of relations."""

    def __init__(self, charm: ops.CharmBase) -> None:
        self._charm = charm

    @property
    def related(self) -> bool:
        return bool(self._charm.model.relations[ENDPOINT])

    @property
    def bundle(self) -> str | None:
        """All certificates as PEM, sorted, each once; None where there is none. What is no certificate is left out."""
        found = {certificate for _, certificates in self._received() for certificate in certificates or ()}
        return pem.bundle(sorted(found)) or None

    @property
    def problem(self) -> str | None:
        """Which application handed out something that is no certificate."""
        problems = [problem.text for problem in self._problems()]
        return problems[0] if problems else None

    def request(self) -> None:
        """Says which version we speak, as leader."""
        for relation in self._charm.model.relations[ENDPOINT]:
            write_for_application(self._charm, relation, {"version": "1"})

    def _problems(self) -> Iterable[Problem]:
        for provider, certificates in self._received():
            if certificates is None:
                yield Problem(f"{provider} handed out a certificate authority that is not PEM")

    def _received(self) -> Iterable[tuple[str, tuple[str, ...] | None]]:
        """What each application handed out, piece by piece; None for a piece that is no certificate."""
        for relation in sorted(self._charm.model.relations[ENDPOINT], key=lambda relation: relation.id):
            provider, databag = remote_name(relation), remote(relation)
            pieces = _pieces(databag.get("certificates"))
            if pieces is None:
                pieces = [piece for unit in remote_units(relation).values() for piece in _pieces_of_v0(unit)]
            for piece in pieces:
                yield provider, pem.certificates(piece)


def _pieces_of_v0(databag: Mapping[str, str]) -> list[str]:
    """A unit's authority and chain, each as plain text or as JSON."""
    return [piece for name in ("ca", "chain") for piece in _pieces(databag.get(name)) or []]


def _pieces(text: str | None) -> list[str] | None:
    """The texts of a JSON list, a JSON text or a plain text; None where there is nothing."""
    if not text or text == "[]":
        return None
    content = decoded(text)
    if isinstance(content, str):
        return [content]
    if isinstance(content, list):
        return [piece if isinstance(piece, str) else "" for piece in content]
    return [text] if text != "null" else None
