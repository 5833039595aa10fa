"""MinIO's charm: the requirer's side of ``object-storage``, schema v1 of the serialized-data-interface package."""

from __future__ import annotations

import re
from collections.abc import Mapping

import ops
import yaml

from relations.bucket import Bucket
from relations.databag import Problem, remote, remote_name, single, write_for_application

ENDPOINT = "minio"
BUCKET = "mlflow"
"""The bucket that we use, for the interface names none."""

_VERSION = "v1"
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?", re.ASCII)


def request(charm: ops.CharmBase) -> None:
    """Says which schema we speak, as leader; MinIO's charm answers nobody who has not."""
    relation = single(charm, ENDPOINT)
    if relation is not None:
        write_for_application(charm, relation, {"_supported_versions": f"- {_VERSION}\n"})


def load(charm: ops.CharmBase) -> Bucket | Problem | None:
    """The bucket, why there is none, or None where nothing is integrated."""
    relation = single(charm, ENDPOINT)
    if relation is None:
        return None
    databag, provider = remote(relation), remote_name(relation)
    versions = _parsed(databag.get("_supported_versions", ""))
    if isinstance(versions, list) and versions and _VERSION not in versions:
        return Problem(f"{provider} speaks another version of the interface object-storage")
    if not databag.get("data"):
        return Problem(f"waiting for {provider} to hand out the keys of an object store", waiting=True)
    return _bucket(_texts(_parsed(databag["data"])), relation.id, provider)


def _bucket(contents: Mapping[str, str], relation_id: int, provider: str) -> Bucket | Problem:
    host = [contents[name] for name in ("service", "namespace") if contents.get(name)]
    port, access_key, secret_key = (contents.get(name, "") for name in ("port", "access-key", "secret-key"))
    named = bool(contents.get("service")) and all(_LABEL.fullmatch(label) for label in host)
    reachable = re.fullmatch(r"[0-9]{1,5}", port) is not None and 0 < int(port) < 65536
    if not named or not reachable or not access_key or not secret_key:
        return Problem(f"{provider} handed out data that the interface object-storage does not allow")
    scheme = "https" if contents.get("secure", "").lower() == "true" else "http"
    name = ".".join(host) + (".svc.cluster.local" if len(host) > 1 else "")
    return Bucket(
        identity=f"{relation_id}:{BUCKET}/",
        name=BUCKET,
        path="",
        access_key=access_key,
        secret_key=secret_key,
        endpoint=f"{scheme}://{name}:{port}",
        addressing_style="path",
    )


def _parsed(text: str) -> object:
    """The value of a YAML text, every scalar as text: a key that looks like a number stays what it is."""
    try:
        value: object = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506  it makes texts, lists and mappings only
    except (yaml.YAMLError, RecursionError):
        return None
    return value


def _texts(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict):
        return {}
    return {name: text for name, text in value.items() if isinstance(name, str) and isinstance(text, str)}
