"""Which destinations are served natively, and which stored locations lie within them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracking_server.artifacts.destination import ArtifactDestination, Location, open_destination
from tracking_server.artifacts.disk import DiskStore
from tracking_server.config import ArtifactSettings
from tracking_server.errors import ForwardRequest
from tracking_server.settings import Secret

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "HOME": "/nonexistent"}


def opened(uri: str, environment: dict[str, str] | None = None, *, serve: bool = True) -> ArtifactDestination:
    return open_destination(
        ArtifactSettings(destination=uri, serve=serve), KEYS if environment is None else environment
    )


@pytest.mark.parametrize(
    "uri",
    ["./artifacts", "/tmp/artifacts", "file:///tmp/artifacts", "s3://bucket", "s3://bucket/a/b/", "gs://bucket/a"],  # noqa: S108 - nothing is written there
)
def test_a_destination_that_is_served_natively(uri: str) -> None:
    assert opened(uri).is_native


@pytest.mark.parametrize(
    "uri", ["hdfs://host/a", "sftp://host/a", "dbfs:/a", "abfss://c@a.dfs.core.windows.net/a", "r2://x"]
)
def test_a_destination_that_only_stock_reaches_is_forwarded(uri: str) -> None:
    destination = opened(uri)
    assert not destination.is_native
    with pytest.raises(ForwardRequest, match="artifact-destination"):
        _ = destination.store


@pytest.mark.parametrize(
    "environment",
    [
        KEYS | {"MLFLOW_S3_UPLOAD_EXTRA_ARGS": '{"ServerSideEncryption": "aws:kms"}'},
        KEYS | {"MLFLOW_S3_EXPECTED_BUCKET_OWNER": "1"},
        {"AWS_PROFILE": "team"},
    ],
)
def test_what_stock_reads_of_the_environment_and_obstore_cannot_is_forwarded(environment: dict[str, str]) -> None:
    assert not opened("s3://bucket/a", environment).is_native


def test_azure_is_native_with_the_accounts_key_only() -> None:
    uri = "wasbs://container@account.blob.core.windows.net/a"
    assert opened(uri, {"AZURE_STORAGE_ACCESS_KEY": "a2V5"}).is_native
    connection = "DefaultEndpointsProtocol=https;AccountName=account;AccountKey=a2V5;EndpointSuffix=core.windows.net"
    assert opened(uri, {"AZURE_STORAGE_CONNECTION_STRING": connection}).is_native
    assert not opened(uri, {}).is_native


@pytest.mark.parametrize(
    ("root", "base"),
    [
        ("mlflow-artifacts:/1/run/artifacts", "1/run/artifacts"),
        ("mlflow-artifacts:/", ""),
        ("mlflow-artifacts://host:5000/1/run/artifacts", "1/run/artifacts"),
        ("http://host/api/2.0/mlflow-artifacts/artifacts/1/run/artifacts", "1/run/artifacts"),
        ("https://host/prefix/api/2.0/mlflow-artifacts/artifacts/1/run", "1/run"),
    ],
)
def test_a_proxied_root_lies_in_the_destination(tmp_path: Path, root: str, base: str) -> None:
    destination = opened(str(tmp_path))
    assert destination.locate(root) == Location(destination.store, base)
    with pytest.raises(ForwardRequest, match="artifact-root"):
        opened(str(tmp_path), serve=False).locate(root)


async def test_a_root_inside_the_destination_is_served(tmp_path: Path) -> None:
    (tmp_path / "a b" / "run").mkdir(parents=True)
    (tmp_path / "a b" / "run" / "file").touch()
    for root in (f"{tmp_path}/a b/run", f"file://{tmp_path}/a%20b/run", f"{tmp_path}/a b/x/../run/"):
        location = opened(str(tmp_path), serve=False).locate(root)
        assert isinstance(location.store, DiskStore)
        assert [entry.name for entry in await location.store.entries(location.path(None))] == ["file"]


@pytest.mark.parametrize(
    "root",
    [
        "{destination}-other/run",
        "{destination}/../other",
        "{destination}/a/../../other",
        "relative/run",
        "s3://bucket/run",
        "dbfs:/run",
        "http://elsewhere/run",
        "runs:/abc/model",
        "models:/name/1",
        "/",
    ],
)
def test_a_root_elsewhere_is_left_to_stock(tmp_path: Path, root: str) -> None:
    with pytest.raises(ForwardRequest, match="artifact-root"):
        opened(str(tmp_path)).locate(root.format(destination=tmp_path))


@pytest.mark.parametrize("root", ["s3://bucket/a", "s3://bucket/a/", "s3://bucket/a/run"])
def test_a_root_inside_a_bucket_is_served(root: str) -> None:
    assert opened("s3://bucket/a").locate(root).base == ""


@pytest.mark.parametrize(
    "root", ["s3://bucket/ab", "s3://bucket", "s3://other/a/run", "s3://bucket/a/../b", "gs://bucket/a/run"]
)
def test_a_root_elsewhere_in_s3_is_left_to_stock(root: str) -> None:
    with pytest.raises(ForwardRequest, match="artifact-root"):
        opened("s3://bucket/a").locate(root)


def test_the_keys_of_the_settings_win_over_the_environment() -> None:
    settings = ArtifactSettings(
        destination="s3://bucket/a", s3_access_key_id=Secret("mine"), s3_secret_access_key=Secret("mine")
    )
    assert open_destination(settings, KEYS | {"AWS_PROFILE": "team"}).is_native
