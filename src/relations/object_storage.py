"""The object store: the endpoint ``object-storage`` (S3), else ``minio``."""

from __future__ import annotations

import ops

from relations import minio, s3
from relations.bucket import Bucket
from relations.databag import Problem, single

__all__ = ["Bucket", "ObjectStorage"]


class ObjectStorage:
    """The endpoints ``object-storage`` and ``minio``; where both are integrated, the first counts."""

    def __init__(self, charm: ops.CharmBase) -> None:
        self._charm = charm

    @property
    def related(self) -> bool:
        return any(single(self._charm, endpoint) is not None for endpoint in (s3.ENDPOINT, minio.ENDPOINT))

    @property
    def bucket(self) -> Bucket | None:
        """The bucket; None while there is none, or none that can be used (see ``problem``)."""
        loaded = self._load()
        return loaded if isinstance(loaded, Bucket) else None

    @property
    def problem(self) -> str | None:
        """Why an integrated object store cannot be used. Holds nothing of what the other side wrote."""
        loaded = self._load()
        return loaded.text if isinstance(loaded, Problem) else None

    @property
    def waiting(self) -> bool:
        """Whether the problem passes by itself."""
        loaded = self._load()
        return isinstance(loaded, Problem) and loaded.waiting

    def request(self) -> None:
        """Asks for credentials, as leader."""
        s3.request(self._charm)
        minio.request(self._charm)

    def _load(self) -> Bucket | Problem | None:
        return s3.load(self._charm) or minio.load(self._charm)
