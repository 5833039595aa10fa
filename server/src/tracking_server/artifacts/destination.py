"""The configured artifact destination, and which of the stored artifact locations lie within it."""

from __future__ import annotations

import os
import posixpath
import re
import ssl
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from obstore.store import AzureStore, GCSStore, S3Store

from tracking_server.artifacts.disk import DiskStore
from tracking_server.artifacts.objects import BucketStore
from tracking_server.artifacts.s3 import S3BucketStore
from tracking_server.artifacts.s3_signing import S3Address, S3Credentials
from tracking_server.artifacts.store import ArtifactStore
from tracking_server.config import ArtifactKind, ArtifactSettings
from tracking_server.errors import ForwardRequest

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

_PROXIED_SCHEMES = ("http", "https", "mlflow-artifacts")
_PROXY_ANCHOR = "/api/2.0/mlflow-artifacts/artifacts/"
_AZURE_HOST = re.compile(r"([^@]+)@([^.]+)\.(blob\.core\.(?:windows\.net|chinacloudapi\.cn|usgovcloudapi\.net))")
# Variables with which stock uploads in a way that obstore cannot.
_S3_OPTIONS_OF_STOCK = (
    "MLFLOW_S3_UPLOAD_EXTRA_ARGS",
    "MLFLOW_S3_EXPECTED_BUCKET_OWNER",
    "MLFLOW_EXPERIMENTAL_S3_SIGNATURE_VERSION",
)
_PRESIGNED_SECONDS = 300
_RETRIES: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=15)}


@dataclass(frozen=True, slots=True)
class Location:
    """A directory of artifacts: ``base`` within ``store``."""

    store: ArtifactStore
    base: str

    def path(self, relative: str | None) -> str:
        """The path within the store of what is ``relative`` to this directory."""
        return self.base if relative is None else posixpath.join(self.base, relative)


@dataclass(frozen=True, slots=True)
class ArtifactDestination:
    """Where this server keeps artifacts.

    ``served`` says whether clients may reach them through the server, ``presigned_seconds`` for how long a
    presigned URL lasts; None where clients are to get none.
    """

    uri: str
    served: bool
    presigned_seconds: int | None
    _store: ArtifactStore | None

    @property
    def store(self) -> ArtifactStore:
        """Raises ForwardRequest for a storage that only stock MLflow can reach."""
        if self._store is None:
            raise ForwardRequest("artifact-destination")
        return self._store

    @property
    def is_native(self) -> bool:
        """Whether this server reaches the storage itself."""
        return self._store is not None

    def locate(self, root: str) -> Location:
        """The place of an artifact root that a run, model or version carries.

        Raises ForwardRequest for one that is neither proxied by this server nor inside its destination.
        """
        parsed = urllib.parse.urlparse(root)
        if self.served and parsed.scheme in _PROXIED_SCHEMES:
            path = parsed.path
            if parsed.scheme != "mlflow-artifacts":
                _, anchor, path = path.partition(_PROXY_ANCHOR)
                if not anchor:
                    raise ForwardRequest("artifact-root")
            return Location(self.store, path.lstrip("/"))
        relative = self._relative(root)
        if relative is None or ".." in relative.split("/"):
            raise ForwardRequest("artifact-root")
        return Location(self.store.child(relative), "")

    def _relative(self, root: str) -> str | None:
        """The path of ``root`` below the destination; None when it lies elsewhere."""
        if urllib.parse.urlparse(self.uri).scheme in ("", "file"):
            if urllib.parse.urlparse(root).scheme not in ("", "file"):
                return None
            destination, location = _local_path(self.uri), _local_path(root)
            if not location.startswith("/"):
                return None
        else:
            destination, location = self.uri, root
        destination = destination.rstrip("/")
        location = location.rstrip("/")
        if location == destination:
            return ""
        return location.removeprefix(destination + "/") if location.startswith(destination + "/") else None


def open_destination(settings: ArtifactSettings, environment: Mapping[str, str]) -> ArtifactDestination:
    """The destination of ``settings``; ``environment`` holds the credentials and options that stock reads there."""
    kind = settings.kind
    scheme = urllib.parse.urlparse(settings.destination).scheme
    store: ArtifactStore | None = None
    if kind is ArtifactKind.LOCAL:
        store = DiskStore(settings.local_path())
    elif scheme == "s3":
        store = _open_s3(settings, environment)
    elif scheme == "gs":
        store = _open_gcs(settings.destination)
    elif scheme == "wasbs":
        store = _open_azure(settings.destination, environment)
    seconds = int(environment.get("MLFLOW_PRESIGNED_DOWNLOAD_URL_TTL_SECONDS", _PRESIGNED_SECONDS))
    return ArtifactDestination(
        uri=settings.destination_for_stock(),
        served=settings.serve,
        presigned_seconds=seconds if settings.presigned else None,
        _store=store,
    )


def _open_s3(settings: ArtifactSettings, environment: Mapping[str, str]) -> ArtifactStore | None:
    if any(environment.get(name) for name in _S3_OPTIONS_OF_STOCK):
        return None
    environment = {**environment, **settings.environment_for_stock()}
    credentials = _s3_credentials(environment)
    if credentials is None and _has_aws_profile(environment):
        return None
    bucket, prefix = _bucket_and_prefix(settings.destination)
    region = environment.get("AWS_DEFAULT_REGION") or environment.get("AWS_REGION") or "us-east-1"
    endpoint = environment.get("MLFLOW_S3_ENDPOINT_URL") or f"https://s3.{region}.amazonaws.com"
    endpoint = endpoint.rstrip("/")
    address = S3Address(endpoint, region, bucket, _is_virtual_hosted(settings, bucket))
    ca_file = environment.get("AWS_CA_BUNDLE")
    unverified = environment.get("MLFLOW_S3_IGNORE_TLS", "").lower() in ("true", "1")
    config: S3Config = {
        "bucket": bucket,
        "region": region,
        "endpoint": address.object_url("").rstrip("/") if address.virtual_hosted else endpoint,
        "virtual_hosted_style_request": address.virtual_hosted,
    }
    if credentials is not None:
        config["access_key_id"] = credentials.access_key_id
        config["secret_access_key"] = credentials.secret_access_key
        if credentials.session_token:
            config["session_token"] = credentials.session_token
    client = _client_options()
    client["allow_http"] = endpoint.startswith("http://")
    tls: ssl.SSLContext | bool = True
    if unverified:
        client["allow_invalid_certificates"] = True
        tls = False
    elif ca_file:
        client["root_certificate"] = Path(ca_file).read_bytes()
        tls = ssl.create_default_context(cafile=ca_file)
    store = S3Store(config=config, client_options=client, retry_config=_RETRIES)
    return S3BucketStore(store, prefix, address, credentials, tls)


def _open_gcs(destination: str) -> ArtifactStore:
    bucket, prefix = _bucket_and_prefix(destination)
    return BucketStore(GCSStore(bucket, client_options=_client_options(), retry_config=_RETRIES), prefix)


def _open_azure(destination: str, environment: Mapping[str, str]) -> ArtifactStore | None:
    """None unless the account's key is at hand: Azure's other identities are left to stock MLflow."""
    match = _AZURE_HOST.fullmatch(urllib.parse.urlparse(destination).netloc)
    connection = dict(
        part.split("=", 1) for part in environment.get("AZURE_STORAGE_CONNECTION_STRING", "").split(";") if "=" in part
    )
    key = connection.get("AccountKey") or environment.get("AZURE_STORAGE_ACCESS_KEY")
    if match is None or not key:
        return None
    container, account, host = match.groups()
    account = connection.get("AccountName", account)
    endpoint = connection.get("BlobEndpoint", f"https://{account}.{host}")
    client = _client_options()
    client["allow_http"] = endpoint.startswith("http://")
    store = AzureStore(
        container_name=container,
        account_name=account,
        account_key=key,
        endpoint=endpoint.rstrip("/"),
        client_options=client,
        retry_config=_RETRIES,
    )
    return BucketStore(store, _bucket_and_prefix(destination)[1])


def _client_options() -> ClientConfig:
    # A whole transfer may take hours; what must not last is silence.
    return {"timeout": timedelta(days=7), "connect_timeout": timedelta(seconds=5), "read_timeout": timedelta(minutes=1)}


def _bucket_and_prefix(uri: str) -> tuple[str, str]:
    parsed = urllib.parse.urlparse(uri)
    return parsed.netloc, parsed.path.strip("/")


def _s3_credentials(environment: Mapping[str, str]) -> S3Credentials | None:
    key, secret = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    if not key or not secret:
        return None
    return S3Credentials(key, secret, environment.get("AWS_SESSION_TOKEN") or None)


def _is_virtual_hosted(settings: ArtifactSettings, bucket: str) -> bool:
    # A certificate for *.s3… does not cover a bucket name with dots.
    return not settings.s3_path_style and "." not in bucket


def _has_aws_profile(environment: Mapping[str, str]) -> bool:
    """Whether boto3 would read a credentials file, which obstore does not know."""
    default = Path(environment.get("HOME", "/")) / ".aws" / "credentials"
    file = Path(environment.get("AWS_SHARED_CREDENTIALS_FILE", default))
    return bool(environment.get("AWS_PROFILE")) or file.exists()


def _local_path(uri: str) -> str:
    if uri.startswith("file:"):
        uri = urllib.parse.unquote(urllib.parse.urlparse(uri).path)
    return os.path.normpath(uri)
