"""Each kind of artifact store that can be had here, empty."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from support.s3 import S3Server
from tracking_server.artifacts.destination import open_destination
from tracking_server.artifacts.s3 import S3BucketStore
from tracking_server.artifacts.store import ArtifactStore
from tracking_server.config import ArtifactSettings
from tracking_server.settings import Secret


@pytest.fixture
def bucket_uri(s3_server: S3Server) -> str:
    """A new bucket with a prefix in it."""
    return s3_server.create_bucket(f"b{secrets.token_hex(6)}") + "/some/prefix"


@pytest.fixture
def s3_store(s3_server: S3Server, bucket_uri: str) -> S3BucketStore:
    """The store of ``bucket_uri``."""
    settings = ArtifactSettings(
        destination=bucket_uri,
        s3_endpoint=s3_server.endpoint,
        s3_region=s3_server.region,
        s3_access_key_id=Secret(s3_server.access_key),
        s3_secret_access_key=Secret(s3_server.secret_key),
    )
    store = open_destination(settings, {}).store
    assert isinstance(store, S3BucketStore)
    return store


@pytest.fixture(params=["disk", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    """A store on disk, then one in S3."""
    if request.param == "disk":
        return open_destination(ArtifactSettings(destination=str(tmp_path / "artifacts")), {}).store
    found: S3BucketStore = request.getfixturevalue("s3_store")
    return found
