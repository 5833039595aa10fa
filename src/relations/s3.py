"""The requirer's side of ``s3``: providers of v0 (keys in plain text) and of v1 (keys in a secret).

The wire is spoken here, because the published library keeps a copy of the provider's databag, keys included, in ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import ops

from relations import pem
from relations.bucket import AddressingStyle, Bucket, is_endpoint, is_name, is_path, is_region
from relations.databag import (
    Problem,
    decoded,
    encoded,
    remote,
    remote_name,
    secret,
    single,
    write_for_application,
)

ENDPOINT = "object-storage"

_STYLES: Mapping[str, AddressingStyle] = {"host": "virtual", "virtual": "virtual", "path": "path"}
# What requirers of v0 have to ask for, which s3-integrator hands back where its user named no bucket.
_PLACEHOLDER = re.compile(r"relation-\d+")


def request(charm: ops.CharmBase) -> None:
    """Asks for credentials, as leader."""
    relation = single(charm, ENDPOINT)
    if relation is None:
        return
    contents = {
        "version": "1",
        "requested-secrets": encoded(["access-key", "secret-key"]),
        # A provider of v0 stays silent until it is asked for a bucket; one of v1 would take the name seriously.
        "bucket": f"relation-{relation.id}" if _is_v0(remote(relation)) else "",
    }
    write_for_application(charm, relation, contents)


def load(charm: ops.CharmBase) -> Bucket | Problem | None:
    """The bucket, why there is none, or None where nothing is integrated."""
    relation = single(charm, ENDPOINT)
    if relation is None:
        return None
    contents, provider = dict(remote(relation)), remote_name(relation)
    if secret_id := contents.get("secret-extra"):
        keys = secret(charm, relation, secret_id, "extra")
        if keys is None:
            return Problem(f"waiting for access to the secret of {provider}", waiting=True)
        contents |= keys
    return _bucket({name: value.strip() for name, value in contents.items()}, relation.id, provider)


def _is_v0(databag: Mapping[str, str]) -> bool:
    version = databag.get("version", "0")
    return bool(databag) and (version.startswith("0") or not version)


def _bucket(contents: Mapping[str, str], relation_id: int, provider: str) -> Bucket | Problem:
    access_key, secret_key = contents.get("access-key"), contents.get("secret-key")
    if not access_key or not secret_key:
        return Problem(f"waiting for {provider} to hand out the keys of an object store", waiting=True)
    name, path = contents.get("bucket", ""), contents.get("path", "").strip("/")
    if not name or _PLACEHOLDER.fullmatch(name):
        return Problem(f"{provider} names no bucket; set its option bucket to one that exists")
    if not is_name(name):
        return Problem(f"{provider} handed out a bucket with an impossible name")
    if not is_path(path):
        return Problem(f"{provider} handed out a path with characters that URIs do not keep")
    endpoint, region = contents.get("endpoint", "").rstrip("/"), contents.get("region", "")
    if endpoint and not is_endpoint(endpoint):
        return Problem(f"{provider} handed out an endpoint that is not http://… or https://…")
    if region and not is_region(region):
        return Problem(f"{provider} handed out a region with an impossible name")
    chain = _chain(contents.get("tls-ca-chain", ""))
    if chain is None:
        return Problem(f"{provider} handed out a tls-ca-chain that is not PEM")
    return Bucket(
        identity=f"{relation_id}:{name}/{path}",
        name=name,
        path=path,
        access_key=access_key,
        secret_key=secret_key,
        endpoint=endpoint or None,
        region=region or None,
        ca_chain=chain or None,
        addressing_style=_STYLES.get(contents.get("s3-uri-style", "").lower(), "auto"),
    )


def _chain(text: str) -> str | None:
    """The certificates of a JSON list or of a plain text as one file; None where something in it is none."""
    listed = decoded(text)
    parts = listed if isinstance(listed, list) else [text]
    if not all(isinstance(part, str) for part in parts):
        return None
    joined = "\n".join(parts)
    if not joined.strip():
        return ""
    found = pem.certificates(joined)
    return None if found is None else pem.bundle(found)
