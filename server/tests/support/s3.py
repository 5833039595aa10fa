"""A real S3-compatible server: versitygw where it was built, else rclone."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from support.processes import LOCALHOST, ServerProcess, http_status, plain_environment

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class S3Server(ServerProcess):
    """An S3 server on ``address``, with path-style buckets, that keeps its objects below ``folder``."""

    name = "s3"
    region = "us-east-1"

    def __init__(self, program: Path, folder: Path, address: str = LOCALHOST) -> None:
        super().__init__(folder)
        self.address = address
        self._program = program
        self._objects = folder / "objects"
        self._metadata = folder / "metadata"
        self._objects.mkdir(exist_ok=True)
        self._metadata.mkdir(exist_ok=True)
        self.access_key = f"key{secrets.token_hex(6)}"
        self.secret_key = secrets.token_hex(16)

    @property
    def endpoint(self) -> str:
        return f"http://{self.address}:{self.port}"

    def command(self) -> Sequence[str | Path]:
        address = f"{self.address}:{self.port}"
        if self._program.name.startswith("versitygw"):
            # A sidecar, because not every file system has the extended attributes that it would use.
            options = ("--port", address, "--region", self.region, "posix", "--sidecar", self._metadata)
            return [self._program, *options, self._objects]
        keys = f"{self.access_key},{self.secret_key}"
        return [self._program, "serve", "s3", "--addr", address, "--auth-key", keys, self._objects]

    def environment(self) -> Mapping[str, str]:
        return plain_environment({"ROOT_ACCESS_KEY": self.access_key, "ROOT_SECRET_KEY": self.secret_key})

    def is_ready(self) -> bool:
        return http_status(self.port, "/", self.address) is not None

    def client(self) -> S3Client:
        """A boto3 client with the server's keys."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )

    def create_bucket(self, name: str) -> str:
        """Creates a bucket and returns its URI, s3://NAME."""
        self.client().create_bucket(Bucket=name)
        return f"s3://{name}"

    def client_environment(self) -> dict[str, str]:
        """The variables with which stock MLflow and MLflow's client find this server."""
        return {
            "MLFLOW_S3_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }

    def artifact_settings(self) -> dict[str, str]:
        """The keys of the tracking server's [artifacts] section with which it finds this server."""
        return {
            "s3_endpoint": self.endpoint,
            "s3_region": self.region,
            "s3_access_key_id": self.access_key,
            "s3_secret_access_key": self.secret_key,
        }
