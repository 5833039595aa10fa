"""The object store: the endpoint ``object-storage`` (S3), else ``minio``."""

from __future__ import annotations

from relations import minio, s3
from relations.bucket import Bucket
from relations.databag import Problem
from relations.integration import Integration

__all__ = ["Bucket", "ObjectStorage"]


class ObjectStorage(Integration[Bucket]):
    """The endpoints ``object-storage`` and ``minio``; where both are integrated, the first counts."""

    @property
    def bucket(self) -> Bucket | None:
        """The bucket; None while there is none, or none that can be used (see ``problem``)."""
        return self.offered

    def request(self) -> None:
        """Asks for credentials, as leader."""
        s3.request(self._charm)
        minio.request(self._charm)

    def _load(self) -> Bucket | Problem | None:
        return s3.load(self._charm) or minio.load(self._charm)
