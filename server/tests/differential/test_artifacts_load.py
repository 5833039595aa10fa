"""Large, broken and simultaneous transfers through the running server, on disk and in S3."""

from __future__ import annotations

import hashlib
import http.client
import json
import secrets
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from support.databases import Databases
from support.fixtures import Starter
from support.ours import TrackingServer
from support.processes import LOCALHOST
from support.s3 import S3Server

PROXY = "/api/2.0/mlflow-artifacts/artifacts"
MEBIBYTE = 1024 * 1024
PATTERN = secrets.token_bytes(MEBIBYTE)


@dataclass
class Storage:
    """The server, and what lies in its storage behind its back."""

    server: TrackingServer
    folder: Path | None
    s3: S3Server | None
    bucket: str

    def leftovers(self) -> list[str]:
        """Files that uploads left unfinished, by name."""
        if self.folder is not None:
            return [str(path) for path in self.folder.rglob(".artifact.uploading.*")]
        assert self.s3 is not None
        found = self.s3.client().list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])
        return [str(upload["Key"]) for upload in found]


@pytest.fixture(scope="module", params=["disk", "s3"])
def storage(
    request: pytest.FixtureRequest,
    module_start: Starter,
    databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
) -> Storage:
    folder = tmp_path_factory.mktemp(f"load-{request.param}")
    s3: S3Server | None = request.getfixturevalue("s3_server") if request.param == "s3" else None
    bucket = f"load-{secrets.token_hex(4)}"
    destination = str(folder / "artifacts") if s3 is None else s3.create_bucket(bucket)
    server = TrackingServer(
        folder,
        database_uri=databases.sqlite(),
        artifacts_destination=destination,
        settings={} if s3 is None else {"artifacts": s3.artifact_settings()},
    )
    return Storage(module_start(server), folder / "artifacts" if s3 is None else None, s3, bucket)


def upload(port: int, path: str, mebibytes: int) -> int:
    connection = http.client.HTTPConnection(LOCALHOST, port, timeout=300)
    try:
        connection.putrequest("PUT", f"{PROXY}/{path}")
        connection.putheader("Content-Length", str(mebibytes * MEBIBYTE))
        connection.endheaders()
        for _ in range(mebibytes):
            connection.send(PATTERN)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def download(port: int, path: str) -> Iterator[bytes]:
    connection = http.client.HTTPConnection(LOCALHOST, port, timeout=300)
    try:
        connection.request("GET", f"{PROXY}/{path}")
        answer = connection.getresponse()
        assert answer.status == 200
        while chunk := answer.read(MEBIBYTE):
            yield chunk
    finally:
        connection.close()


def digest(chunks: Iterator[bytes]) -> str:
    total = hashlib.sha256()
    for chunk in chunks:
        total.update(chunk)
    return total.hexdigest()


def listing(port: int, path: str) -> list[str]:
    connection = http.client.HTTPConnection(LOCALHOST, port, timeout=60)
    connection.request("GET", f"{PROXY}?path={path}")
    files = json.loads(connection.getresponse().read()).get("files", [])
    connection.close()
    return [file["path"] for file in files]


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("mebibytes", [0, 2, 30])
def test_an_upload_that_breaks_off_leaves_nothing(storage: Storage, mebibytes: int, announced: bool) -> None:
    framing = b"Content-Length: 104857600" if announced else b"Transfer-Encoding: chunked"
    head = b"PUT %s/broken/file HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n" % (PROXY.encode(), framing)
    with socket.create_connection((LOCALHOST, storage.server.port)) as connection:
        connection.sendall(head)
        for _ in range(mebibytes):
            connection.sendall(PATTERN if announced else b"%x\r\n%s\r\n" % (MEBIBYTE, PATTERN))
        time.sleep(0.3)
    deadline = time.monotonic() + 10
    while storage.leftovers() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert storage.leftovers() == []
    assert listing(storage.server.port, "broken") == []


def test_a_download_that_is_left_early_frees_the_server(storage: Storage) -> None:
    port = storage.server.port
    assert upload(port, "left", 40) == 200
    worker = max((psutil.Process(pid) for pid in storage.server.pids()), key=lambda process: process.num_fds())
    before = worker.num_fds()
    for _ in range(5):
        for _chunk in download(port, "left"):
            break
    deadline = time.monotonic() + 10
    while worker.num_fds() > before + 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert worker.num_fds() <= before + 3
    assert digest(download(port, "left")) == digest(PATTERN for _ in range(40))


def test_simultaneous_uploads_arrive_whole(storage: Storage) -> None:
    port = storage.server.port
    sizes = {f"many/{number:02}": number % 4 * 3 for number in range(24)}
    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(lambda item: upload(port, *item), sizes.items())) == {200}
        sums = list(pool.map(lambda name: digest(download(port, name)), sizes))
    assert sums == [digest(PATTERN for _ in range(size)) for size in sizes.values()]
    assert listing(port, "many") == [name.removeprefix("many/") for name in sizes]
    assert storage.leftovers() == []


@pytest.mark.slow
def test_a_gibibyte_passes_in_flat_memory(storage: Storage) -> None:
    port = storage.server.port
    assert upload(port, "warm", 30) == 200
    assert digest(download(port, "warm"))
    before = memory(storage.server)
    peak = 0
    with ThreadPoolExecutor(1) as pool:
        for work in (lambda: upload(port, "big", 1024), lambda: digest(download(port, "big"))):
            running = pool.submit(work)
            while not running.done():
                peak = max(peak, memory(storage.server))
                time.sleep(0.05)
            result = running.result()
            assert result in (200, digest(PATTERN for _ in range(1024)))
    assert peak - before < 100 * MEBIBYTE


def memory(server: TrackingServer) -> int:
    """Resident bytes of the server's processes but for stock MLflow, which this traffic does not reach."""
    total = 0
    for pid in server.pids():
        process = psutil.Process(pid)
        if not any("mlflow.server" in word for word in process.cmdline()):
            total += process.memory_info().rss
    return total
