"""An S3 bucket that also hands out presigned URLs, so that clients can move large files without this server."""

from __future__ import annotations

import html
import posixpath
import re
import ssl
import urllib.parse
from collections.abc import Mapping
from datetime import UTC, datetime
from xml.sax.saxutils import escape

from obstore.store import S3Store

from tracking_server.artifacts.objects import BucketStore, refusal
from tracking_server.artifacts.s3_signing import S3Address, S3Credentials, presigned_url
from tracking_server.artifacts.store import Details, MultipartUpload
from tracking_server.errors import ForwardRequest, Unavailable

# What boto3 gives the URLs that stock makes for parts, in seconds.
_PART_URL_SECONDS = 3600
_CALL_SECONDS = 60
_UPLOAD_ID = re.compile(r"<UploadId>([^<]+)</UploadId>")


class S3BucketStore(BucketStore):
    """``credentials`` are None where only a role or a profile gives them: then stock MLflow presigns."""

    def __init__(
        self,
        bucket: S3Store,
        prefix: str,
        address: S3Address,
        credentials: S3Credentials | None,
        tls: ssl.SSLContext | bool,
    ) -> None:
        super().__init__(bucket, prefix)
        self._s3 = bucket
        self._address = address
        self._credentials = credentials
        self._tls = tls

    def child(self, path: str) -> S3BucketStore:
        prefix = self.key(path.rstrip("/")) if path else self.prefix
        return S3BucketStore(self._s3, prefix, self._address, self._credentials, self._tls)

    async def presign_download(self, path: str, seconds: int) -> tuple[str, Details]:
        """A URL that downloads the file under its own name for ``seconds``. Raises as ``head`` does."""
        details = await self.head(path)
        disposition = _attachment(posixpath.basename(path))
        return self._url("GET", path, {"response-content-disposition": disposition}, seconds), details

    async def create_multipart(self, path: str, parts: int) -> MultipartUpload:
        """Begins an upload of ``parts`` parts, numbered from 1."""
        answer = await self._call("POST", path, {"uploads": ""}, b"")
        found = _UPLOAD_ID.search(answer.decode())
        if found is None:
            raise Unavailable("The artifact storage did not begin an upload.")
        upload_id = html.unescape(found[1])
        urls = [
            self._url("PUT", path, {"partNumber": str(number), "uploadId": upload_id}, _PART_URL_SECONDS)
            for number in range(1, parts + 1)
        ]
        return MultipartUpload(upload_id, urls)

    async def complete_multipart(self, path: str, upload_id: str, etags: Mapping[int, str]) -> None:
        """Makes one object of the uploaded parts, given by number and entity tag."""
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag></Part>"
            for number, etag in etags.items()
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"
        await self._call("POST", path, {"uploadId": upload_id}, body.encode())

    async def abort_multipart(self, path: str, upload_id: str) -> None:
        """Drops the parts uploaded so far."""
        await self._call("DELETE", path, {"uploadId": upload_id}, b"")

    def _url(self, method: str, path: str, parameters: Mapping[str, str], seconds: int) -> str:
        if self._credentials is None:
            raise ForwardRequest("artifact-presign")
        return presigned_url(
            self._address,
            self._credentials,
            method,
            self.key(path),
            parameters,
            seconds=seconds,
            now=datetime.now(UTC),
        )

    async def _call(self, method: str, path: str, parameters: Mapping[str, str], body: bytes) -> bytes:
        """Sends one signed request and returns its answer's body."""
        # A quarter of a second to load, which a worker's start need not wait for.
        import aiohttp
        import yarl

        url = self._url(method, path, parameters, _CALL_SECONDS)
        timeout = aiohttp.ClientTimeout(total=_CALL_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
                session.request(method, yarl.URL(url, encoded=True), data=body, ssl=self._tls) as response,
            ):
                answer = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable("The artifact storage cannot be reached.") from error
        # S3 may answer 200 and say in the body that completing failed.
        if response.status >= 300 or b"<Error>" in answer:
            raise refusal(path, response.status, answer.decode("utf-8", "replace"))
        return answer


def _attachment(name: str) -> str:
    """The Content-Disposition that stock signs into the URL (mlflow/store/artifact/s3_artifact_repo.py)."""
    if not name.isascii() or not name.isprintable():
        return f"attachment; filename*=UTF-8''{urllib.parse.quote(name)}"
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'attachment; filename="{escaped}"'
