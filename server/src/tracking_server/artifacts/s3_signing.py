"""Presigned S3 URLs: AWS Signature Version 4 in the query string.

obstore signs an object's URL but neither the query parameters of a multipart upload's parts nor the file name of a
download. https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlsplit


@dataclass(frozen=True, slots=True)
class S3Credentials:
    """A long-lived key pair, or a session's with its token."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None


@dataclass(frozen=True, slots=True)
class S3Address:
    """Where a bucket answers: ``endpoint`` is a URL without a path."""

    endpoint: str
    region: str
    bucket: str
    virtual_hosted: bool

    def object_url(self, key: str) -> str:
        """The object's URL without query or signature."""
        scheme, host = urlsplit(self.endpoint)[:2]
        path = quote(key, safe="/-_.~")
        if self.virtual_hosted:
            return f"{scheme}://{self.bucket}.{host}/{path}"
        return f"{scheme}://{host}/{self.bucket}/{path}"


def presigned_url(
    address: S3Address,
    credentials: S3Credentials,
    method: str,
    key: str,
    parameters: Mapping[str, str],
    *,
    seconds: int,
    now: datetime,
) -> str:
    """The URL with which anyone may send ``method`` with ``parameters`` for ``seconds`` from ``now`` (UTC)."""
    url = address.object_url(key)
    host, path = urlsplit(url)[1:3]
    day, moment = now.strftime("%Y%m%d"), now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{day}/{address.region}/s3/aws4_request"
    query = dict(parameters) | {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{credentials.access_key_id}/{scope}",
        "X-Amz-Date": moment,
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": "host",
    }
    if credentials.session_token:
        query["X-Amz-Security-Token"] = credentials.session_token
    canonical_query = "&".join(
        f"{name}={value}"
        for name, value in sorted((quote(name, safe="-_.~"), quote(text, safe="-_.~")) for name, text in query.items())
    )
    canonical = "\n".join((method, path, canonical_query, f"host:{host}", "", "host", "UNSIGNED-PAYLOAD"))
    to_sign = "\n".join(("AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    signing_key = f"AWS4{credentials.secret_access_key}".encode()
    for step in (day, address.region, "s3", "aws4_request"):
        signing_key = _hmac(signing_key, step)
    return f"{url}?{canonical_query}&X-Amz-Signature={_hmac(signing_key, to_sign).hex()}"


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
