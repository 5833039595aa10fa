"""What `juju status` says, in one place: what is the matter and, where somebody must act, what to run."""

from __future__ import annotations

import ops

from data_source import Choice, Decision, Kind, Reason, Source
from schema import Gate, Verdict

_ENDPOINTS = {Kind.DATABASE: "database", Kind.ARTIFACTS: "object-storage"}
_CHARMS = {Kind.DATABASE: "postgresql-k8s", Kind.ARTIFACTS: "s3-integrator"}
_NOUNS = {Kind.DATABASE: "database", Kind.ARTIFACTS: "object storage"}


def bad_config(problem: str) -> ops.StatusBase:
    return ops.BlockedStatus(f"bad option {problem}")


def not_trusted(app: str) -> ops.StatusBase:
    return ops.BlockedStatus(
        f"Kubernetes refuses what the options or units ask for; run `juju trust {app} --scope=cluster`"
    )


def cluster_rejects(problem: str) -> ops.StatusBase:
    return ops.BlockedStatus(f"Kubernetes rejects what the options ask for: {problem}")


def cluster_away(problem: str) -> ops.StatusBase:
    return ops.WaitingStatus(f"waiting for Kubernetes: {problem}")


def no_container() -> ops.StatusBase:
    return ops.WaitingStatus("waiting for the container of the server")


def no_peers() -> ops.StatusBase:
    return ops.WaitingStatus("waiting for the peer relation")


def no_certificate() -> ops.StatusBase:
    return ops.WaitingStatus("waiting for a certificate")


def integration(problem: str, *, waiting: bool) -> ops.StatusBase:
    """An integration that gives nothing that can be used."""
    return ops.WaitingStatus(problem) if waiting else ops.BlockedStatus(problem)


def data(app: str, kind: Kind, choice: Choice, holder: str | None) -> ops.StatusBase | None:
    """Why a unit does not serve from a source of its own choice; None where it does."""
    if choice.source is not Source.NONE:
        return None
    noun, endpoint = _NOUNS[kind], _ENDPOINTS[kind]
    match choice.reason:
        case Reason.REMOVED:
            return ops.BlockedStatus(f"{noun} was removed; run `juju integrate {app}:{endpoint} {_CHARMS[kind]}`")
        case Reason.OTHER_HOLDER:
            return ops.BlockedStatus(
                f"embedded mode serves from {holder} only; integrate a database and an object storage to scale"
            )
        case Reason.HOLDER_GONE:
            return ops.BlockedStatus(
                f"{holder}, which held the embedded data, is gone; scale up until it is back, or run"
                " decline-embedded-data on the leader"
            )
        case _:
            return ops.WaitingStatus(f"waiting for the leader to decide on the {noun}")


def active(decision: Decision) -> ops.StatusBase:
    """A server that serves; in embedded mode the status says so."""
    kept = [kind for kind, choice in decision.choices.items() if choice.reason is Reason.DATA_KEPT]
    if kept:
        nouns = " and ".join(_NOUNS[kind] for kind in kept)
        return ops.ActiveStatus(
            f"serving embedded data; run copy-embedded-data (or decline-embedded-data) to use the integrated {nouns}"
        )
    embedded = [kind for kind in decision.choices if decision.is_embedded(kind)]
    if len(embedded) == len(Kind):
        return ops.ActiveStatus(
            "embedded mode: data on this unit's storage; integrate a database and an object storage to scale"
        )
    if embedded:
        held = {Kind.DATABASE: "database", Kind.ARTIFACTS: "artifacts"}[embedded[0]]
        return ops.ActiveStatus(f"{held} on this unit's storage; integrate {_article(_NOUNS[embedded[0]])} to scale")
    return ops.ActiveStatus()


def schema(verdict: Verdict) -> ops.StatusBase | None:
    """Why the database's schema is not served; None where it is."""
    match verdict.gate:
        case Gate.OPEN:
            return None
        case Gate.UNCONFIRMED:
            return ops.WaitingStatus("waiting for the leader to confirm the database's schema")
        case Gate.UNREACHABLE:
            return ops.WaitingStatus(f"database cannot be reached: {verdict.detail}")
        case Gate.OTHERS_SERVE:
            return ops.WaitingStatus(f"database waits for its migration: {verdict.detail}")
        case Gate.BEHIND:
            return ops.BlockedStatus(
                f"database is older: {verdict.detail}; back it up and run migrate-database on the leader"
            )
        case Gate.AHEAD | Gate.NOT_MLFLOW:
            return ops.BlockedStatus(f"database cannot be served: {verdict.detail}")
        case Gate.FAILED:
            return ops.BlockedStatus(
                f"migration failed: {verdict.detail}; see juju debug-log and run migrate-database again"
            )


def workload(problem: str) -> ops.StatusBase:
    """The container did not do what it was asked to."""
    return ops.BlockedStatus(f"server: {problem}")


def rejected(problem: str) -> ops.StatusBase:
    """The server does not take a configuration; it goes on with the last one."""
    return ops.BlockedStatus(f"the server refuses its new configuration: {problem}")


def not_ready(reason: str) -> ops.StatusBase:
    return ops.WaitingStatus(f"not ready: {reason}")


def no_artifacts(reason: str) -> ops.StatusBase:
    """The server tracks, and cannot reach the artifacts."""
    return ops.BlockedStatus(f"object storage cannot be used: {reason}")


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
