"""Artifacts against stock MLflow: both servers on SQLite, each with its own folder on disk, then its own bucket in S3.

The requests go out byte for byte as they stand here, because the spelling of a path is what they are about.
"""

from __future__ import annotations

import http.client
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from support.databases import Databases
from support.fixtures import Starter
from support.ours import TrackingServer
from support.processes import LOCALHOST
from support.s3 import S3Server
from support.stock import StockServer

PROXY = "/api/2.0/mlflow-artifacts/artifacts"
AJAX_PROXY = "/ajax-api/2.0/mlflow-artifacts/artifacts"
API = "/api/2.0/mlflow"
JSON = {"Content-Type": "application/json"}
COMPARED_HEADERS = ("content-type", "content-disposition", "x-content-type-options")

CONTENTS = {
    "report.html": b"<script>alert(1)</script>",
    "with space.txt": b"space",
    "a+b&c=d.csv": b"1,2",
    "100%.txt": b"percent",
    "日本語/é.txt": b"unicode",
    'quo"te\\slash.txt': b"quote",
    "sub/deep/er/MLmodel": b"flavors: {}",
    "sub/empty.json": b"",
    "sub/model.pkl": bytes(range(256)) * 100,
    "sub.txt": b"beside",
    "Z": b"z",
}


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def comparable(self) -> tuple[object, ...]:
        """Status, body (as a JSON value where it is one) and the headers that clients act on."""
        if self.status == 308:
            # Flask's page beside the redirect is for eyes only.
            return (self.status, urlsplit(self.headers["location"]).path)
        content_type = self.headers.get("content-type", "")
        body: object = json.loads(self.body) if content_type.startswith("application/json") and self.body else self.body
        return (self.status, body, *(self.headers.get(name) for name in COMPARED_HEADERS))


@dataclass
class Client:
    """Talks to one server on one connection, without changing a path."""

    port: int
    run_id: str = ""
    model_id: str = ""
    root: str = ""

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        connection = http.client.HTTPConnection(LOCALHOST, self.port, timeout=180)
        try:
            connection.putrequest(method, path.format(run=self.run_id, model=self.model_id), skip_accept_encoding=True)
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def post(self, path: str, value: object) -> dict[str, object]:
        reply = self.send("POST", path, json.dumps(value).encode(), JSON)
        assert reply.status == 200, reply
        answer: dict[str, object] = json.loads(reply.body)
        return answer


@dataclass
class Servers:
    """The two servers with the same run, logged model, model version and artifacts."""

    stock: Client
    ours: Client
    storage: str

    def differ(self, method: str, path: str, body: bytes | None = None, **headers: str) -> str | None:
        """How the two answers differ; None if they are equal."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        stock, ours = (client.send(method, path, body, sent) for client in (self.stock, self.ours))
        replaced = ours.body
        for name in ("run_id", "model_id"):
            if getattr(self.ours, name):
                replaced = replaced.replace(getattr(self.ours, name).encode(), getattr(self.stock, name).encode())
        ours = Reply(ours.status, ours.headers, replaced)
        if stock.comparable() == ours.comparable():
            return None
        return f"stock {stock.comparable()}\nours  {ours.comparable()}"


def new_run(client: Client, **experiment: str) -> dict[str, str]:
    """The info of a run in an experiment of its own."""
    created = client.post(f"{API}/experiments/create", {"name": secrets.token_hex(8), **experiment})
    run = client.post(f"{API}/runs/create", {"experiment_id": created["experiment_id"], "start_time": 1})["run"]
    info: dict[str, str] = run["info"]  # type: ignore[index]  # the shape of runs/create
    return info


def prepare(client: Client) -> None:
    """A run, a logged model and a model version, with files in each."""
    run = new_run(client)
    client.run_id = run["run_id"]
    model = client.post(f"{API}/logged-models", {"experiment_id": run["experiment_id"], "name": "m"})["model"]
    info: dict[str, str] = model["info"]  # type: ignore[index]  # the shape of logged-models
    client.model_id = info["model_id"]
    client.root = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
    client.post(f"{API}/registered-models/create", {"name": "reg"})
    source = f"{run['artifact_uri']}/sub"
    client.post(f"{API}/model-versions/create", {"name": "reg", "source": source, "run_id": client.run_id})
    for root in (client.root, info["artifact_uri"].removeprefix("mlflow-artifacts:/"), "shared"):
        for name, content in CONTENTS.items():
            reply = client.send("PUT", f"{PROXY}/{root}/{quote(quote(name)) if '%' in name else quote(name)}", content)
            assert reply.status == 200, (name, reply)


@pytest.fixture(scope="module", params=["disk", "s3"])
def servers(
    request: pytest.FixtureRequest,
    module_start: Starter,
    databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
) -> Servers:
    folder = tmp_path_factory.mktemp(f"artifacts-{request.param}")
    environment: dict[str, str] = {}
    settings: dict[str, str] = {}
    if request.param == "s3":
        s3: S3Server = request.getfixturevalue("s3_server")
        bucket = f"differential-{secrets.token_hex(4)}"
        destinations = [s3.create_bucket(f"{bucket}-{name}") + "/root" for name in ("stock", "ours")]
        environment, settings = s3.client_environment(), s3.artifact_settings()
    else:
        destinations = [str(folder / "stock" / "artifacts"), str(folder / "ours" / "artifacts")]
    stock = module_start(
        StockServer(
            folder / "stock",
            backend_store_uri=databases.sqlite(),
            artifacts_destination=destinations[0],
            environment=environment,
        )
    )
    ours = module_start(
        TrackingServer(
            folder / "ours",
            database_uri=databases.sqlite(),
            artifacts_destination=destinations[1],
            settings={"artifacts": settings},
        )
    )
    pair = Servers(Client(stock.port), Client(ours.port), request.param)
    prepare(pair.stock)
    prepare(pair.ours)
    return pair


RUN = "{run}"
LISTS = [
    f"{PROXY}?path=shared",
    f"{AJAX_PROXY}?path=shared/sub",
    f"{PROXY}?path=shared/sub/",
    f"{PROXY}?path=shared/sub/deep",
    f"{PROXY}?path=shared%2Fsub%2Fdeep%2Fer",
    f"{PROXY}?path=shared/Z",
    f"{PROXY}?path=nothing",
    f"{PROXY}?path=shared&path=nothing",
    f"{PROXY}?path=shared/%E6%97%A5%E6%9C%AC%E8%AA%9E",
    f"{PROXY}?path=..",
    f"{PROXY}?path=%252e%252e%252f",
    f"{PROXY}?path=/etc",
    f"{PROXY}?path=shared%23",
    f"{API}/artifacts/list?run_id={RUN}",
    f"{API}/artifacts/list?run_uuid={RUN}&path=sub",
    f"{API}/artifacts/list?run_id={RUN}&path=",
    f"{API}/artifacts/list?run_id={RUN}&path=sub/",
    f"{API}/artifacts/list?run_id={RUN}&path=sub%2Fdeep&page_token=x",
    f"{API}/artifacts/list?run_id={RUN}&path=Z",
    f"{API}/artifacts/list?run_id={RUN}&path=nothing",
    f"{API}/artifacts/list?run_id={RUN}&path=../../",
    f"{API}/artifacts/list?run_id={RUN}&path=C:/",
    f"{API}/artifacts/list?run_id=nothing",
    f"{API}/artifacts/list?run_id=",
    f"{API}/artifacts/list",
    f"{API}/logged-models/{{model}}/artifacts/directories",
    f"{API}/logged-models/{{model}}/artifacts/directories?artifact_directory_path=sub",
    f"{API}/logged-models/{{model}}/artifacts/directories?artifact_directory_path=../x",
    f"{API}/logged-models/nothing/artifacts/directories",
]
TRAVERSALS = [
    "../a",
    "..%2fa",
    "%2e%2e/a",
    "%2e%2e%2fa",
    "%252e%252e%252fa",
    "%25252e%25252e%25252fa",
    "a/../b",
    "a/%2e%2e/b",
    "a/%2e%2e%2f%2e%2e%2f%2e%2e%2fetc/passwd",
    "/etc/passwd",
    "%2fetc/passwd",
    "//etc/passwd",
    "file:///etc/passwd",
    "file:%2f%2f%2fetc/passwd",
    "C:/a",
    "C:%5Ca",
    "%5C%5Chost%5Cshare",
    "a%23b",
    "a%2523b",
]


@pytest.mark.parametrize("path", LISTS)
def test_lists(servers: Servers, path: str) -> None:
    assert servers.differ("GET", path) is None


@pytest.mark.parametrize("name", CONTENTS)
def test_downloads(servers: Servers, name: str) -> None:
    path = quote(quote(name)) if "%" in name else quote(name)
    query = quote(name, safe="")
    for url in (
        f"{PROXY}/shared/{path}",
        f"{AJAX_PROXY}/shared/{path}",
        f"/get-artifact?run_id={RUN}&path={query}",
        f"/get-artifact?run_uuid={RUN}&path={query}",
        f"/ajax-api/2.0/mlflow/logged-models/{{model}}/artifacts/files?artifact_file_path={query}",
    ):
        assert servers.differ("GET", url) is None, url
        assert servers.ours.send("GET", url).body == CONTENTS[name]


@pytest.mark.parametrize("path", ["/api/3.0/mlflow/server-info", "/ajax-api/3.0/mlflow/server-info"])
def test_what_clients_are_promised(servers: Servers, path: str) -> None:
    assert servers.differ("GET", path) is None


def test_a_model_versions_files(servers: Servers) -> None:
    for query in ("name=reg&version=1&path=deep/er/MLmodel", "name=reg&version=1&path=model.pkl"):
        assert servers.differ("GET", f"/model-versions/get-artifact?{query}") is None
    for query in ("name=reg&version=2&path=a", "name=other&version=1&path=a", "name=reg&version=x&path=a"):
        assert servers.differ("GET", f"/model-versions/get-artifact?{query}") is None
    for query in ("name=&version=1&path=a", "version=1&path=a", "name=a/b&version=1&path=a"):
        assert servers.differ("GET", f"/model-versions/get-artifact?{query}") is None


@pytest.mark.parametrize("path", TRAVERSALS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_no_path_leads_out(servers: Servers, method: str, path: str) -> None:
    body = b"x" if method == "PUT" else None
    reply = servers.ours.send(method, f"{PROXY}/{path}", body)
    # Flask redirects to the path with single slashes, below the same root.
    assert 400 <= reply.status < 500 or (reply.status == 308 and reply.headers["location"].startswith(f"{PROXY}/"))
    assert b"root:" not in reply.body
    difference = servers.differ(method, f"{PROXY}/{path}", body)
    assert difference is None


@pytest.mark.parametrize("path", TRAVERSALS)
def test_no_query_leads_out(servers: Servers, path: str) -> None:
    for url in (
        f"/get-artifact?run_id={RUN}&path={path}",
        f"/model-versions/get-artifact?name=reg&version=1&path={path}",
        f"/ajax-api/2.0/mlflow/logged-models/{{model}}/artifacts/files?artifact_file_path={path}",
    ):
        assert servers.differ("GET", url) is None, url


def test_what_is_no_file(servers: Servers) -> None:
    if servers.storage == "s3":
        # Stock answers 200 with a body that breaks off, or 500 for what is missing; ours answers as on disk.
        assert servers.ours.send("GET", f"{PROXY}/shared/sub").status == 400
        assert servers.ours.send("GET", f"{PROXY}/shared/nothing").status == 404
        assert servers.ours.send("GET", f"/get-artifact?run_id={RUN}&path=nothing").status == 404
        return
    for path in ("shared/sub", "shared/sub/", "shared/nothing", "nothing", "shared/Z/below"):
        assert servers.differ("GET", f"{PROXY}/{path}") is None, path


def test_missing_owners_and_parameters(servers: Servers) -> None:
    for url in (
        "/get-artifact?run_id=nothing&path=a",
        "/get-artifact?path=a",
        "/ajax-api/2.0/mlflow/logged-models/nothing/artifacts/files?artifact_file_path=a",
        "/ajax-api/2.0/mlflow/logged-models/{model}/artifacts/files",
    ):
        assert servers.differ("GET", url) is None, url
    # Stock answers Flask's page; the status is the same.
    for url in (f"/get-artifact?run_id={RUN}", "/model-versions/get-artifact?name=reg&version=1"):
        assert [client.send("GET", url).status for client in (servers.stock, servers.ours)] == [400, 400]


def test_uploads_from_the_ui(servers: Servers) -> None:
    url = "/ajax-api/2.0/mlflow/upload-artifact"
    for query, body in (
        (f"run_uuid={RUN}&path=ui/table.json", b"{}"),
        (f"run_uuid={RUN}&path=top.json", b"{}"),
        (f"run_uuid={RUN}&path=top.json", b""),
        (f"run_uuid={RUN}", b"{}"),
        ("path=a", b"{}"),
        ("run_uuid=nothing&path=a", b"{}"),
        (f"run_uuid={RUN}&path=../a", b"{}"),
        (f"run_uuid={RUN}&path=large", b"x" * (10 * 1024 * 1024 + 1)),
    ):
        assert servers.differ("POST", f"{url}?{query}", body, Content_Type="application/json") is None, query
    assert servers.differ("GET", f"{API}/artifacts/list?run_id={RUN}") is None
    assert servers.differ("GET", f"{API}/artifacts/list?run_id={RUN}&path=ui") is None
    for client in (servers.stock, servers.ours):
        client.send("DELETE", f"{PROXY}/{client.root}/ui")
        client.send("DELETE", f"{PROXY}/{client.root}/top.json")


def test_uploads_and_deletions(servers: Servers) -> None:
    for method, path in (
        ("PUT", "gone/a"),
        ("PUT", "gone/a"),
        ("PUT", "gone/b/c"),
        ("PUT", "gone.txt"),
        ("PUT", "gone/a%3Fb%2Bc%20d"),
        ("PUT", "gone/%E6%97%A5"),
        ("PUT", "gone/"),
        ("DELETE", "gone/nothing"),
        ("DELETE", "gone/a"),
        ("DELETE", "gone/a"),
        ("DELETE", "gone/b"),
    ):
        assert servers.differ(method, f"{PROXY}/{path}", b"content" if method == "PUT" else None) is None, path
        assert servers.differ("GET", f"{PROXY}?path=gone") is None, path
    assert servers.differ("DELETE", f"{PROXY}/gone") is None
    assert servers.differ("GET", f"{PROXY}?path=gone") is None
    assert servers.ours.send("GET", f"{PROXY}/gone.txt").body == b"content"


def test_what_disk_cannot_store_is_the_clients_fault(servers: Servers) -> None:
    if servers.storage == "s3":
        pytest.skip("S3 can store these")
    for path in ("shared/Z/below", "shared/sub", "a//b/c", "shared/.artifact.uploading.x", "n" * 300):
        stock, ours = (client.send("PUT", f"{PROXY}/{path}", b"x") for client in (servers.stock, servers.ours))
        # Stock fails with 500 for all but the reserved name.
        assert ours.status == 400, path
        assert stock.status in (400, 500), path
    assert servers.differ("GET", f"{PROXY}?path=shared") is None


def test_multipart_uploads(servers: Servers) -> None:
    create, body = "/api/2.0/mlflow-artifacts/mpu/create/multi", {"path": "/local/big.bin", "num_parts": 2}
    for url, value in (
        (create, {}),
        (create, {"path": ""}),
        (create, {"path": "a", "num_parts": "x"}),
        ("/api/2.0/mlflow-artifacts/mpu/create/..%2f", body),
        ("/api/2.0/mlflow-artifacts/mpu/complete/multi", {"path": "a"}),
        ("/api/2.0/mlflow-artifacts/mpu/abort/multi", {}),
    ):
        assert servers.differ("POST", url, json.dumps(value).encode(), **{"Content-Type": "application/json"}) is None
    if servers.storage == "disk":
        assert servers.differ("POST", create, json.dumps(body).encode(), **{"Content-Type": "application/json"}) is None
        assert servers.differ("GET", "/api/2.0/mlflow-artifacts/presigned/shared/Z") is None
        return
    parts = [b"a" * (5 * 1024 * 1024), b"end"]
    for client in (servers.stock, servers.ours):
        answer = client.post(create, body)
        assert answer.keys() == {"upload_id", "credentials"}
        credentials = answer["credentials"]
        assert isinstance(credentials, list)
        assert [set(each) for each in credentials] == [{"url", "part_number"}] * 2
        etags = [put(each["url"], part) for each, part in zip(credentials, parts, strict=True)]
        finished = [{"part_number": number, "etag": etag} for number, etag in enumerate(etags, 1)]
        client.post(
            "/api/2.0/mlflow-artifacts/mpu/complete/multi",
            {"path": "big.bin", "upload_id": answer["upload_id"], "parts": finished},
        )
        assert client.send("GET", f"{PROXY}/multi/big.bin").body == b"".join(parts)
        presigned = json.loads(client.send("GET", "/api/2.0/mlflow-artifacts/presigned/multi/big.bin").body)
        assert presigned.keys() == {"url", "headers", "file_size"}
        assert presigned["file_size"] == len(b"".join(parts))
        aborted = client.post(create, body)
        client.post("/api/2.0/mlflow-artifacts/mpu/abort/multi", {"path": "big.bin", "upload_id": aborted["upload_id"]})


def put(url: str, body: bytes) -> str:
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host)
    connection.request("PUT", f"/{path}", body)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200
    connection.close()
    return answer.headers["ETag"]


def test_ranges(servers: Servers) -> None:
    content = CONTENTS["sub/model.pkl"]
    for url in (f"{PROXY}/shared/sub/model.pkl", f"/get-artifact?run_id={RUN}&path=sub/model.pkl"):
        reply = servers.ours.send("GET", url, headers={"Range": "bytes=100-199"})
        assert (reply.status, reply.body) == (206, content[100:200])
        assert reply.headers["content-range"] == f"bytes 100-199/{len(content)}"
        if servers.storage == "disk":
            stock = servers.stock.send("GET", url, headers={"Range": "bytes=100-199"})
            assert (stock.status, stock.body, stock.headers["content-range"]) == (
                206,
                reply.body,
                reply.headers["content-range"],
            )
        assert servers.ours.send("GET", url, headers={"Range": f"bytes={len(content)}-"}).status == 416


def test_a_root_outside_the_destination_is_left_to_stock(servers: Servers, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file.txt").write_text("outside")
    for client in (servers.stock, servers.ours):
        run_id = new_run(client, artifact_location=str(tmp_path))["run_id"]
        folder = tmp_path / run_id / "artifacts"
        folder.mkdir(parents=True)
        (folder / "file.txt").write_text("direct")
        listed = json.loads(client.send("GET", f"{API}/artifacts/list?run_id={run_id}").body)
        assert listed["files"] == [{"path": "file.txt", "is_dir": False, "file_size": 6}]
        assert client.send("GET", f"/get-artifact?run_id={run_id}&path=file.txt").body == b"direct"


def test_the_proxy_answers_natively(servers: Servers) -> None:
    # Stock sends neither for an object in S3, so they show who answered.
    reply = servers.ours.send("GET", f"{PROXY}/shared/Z")
    assert reply.headers["content-length"] == "1"
    assert "etag" in reply.headers
    assert reply.headers["cache-control"] == "no-cache"


@pytest.mark.slow
def test_serving_switched_off(start: Starter, databases: Databases, tmp_path: Path) -> None:
    stock = start(
        StockServer(
            tmp_path / "stock",
            backend_store_uri=databases.sqlite(),
            artifacts_destination=str(tmp_path / "a"),
            arguments=["--no-serve-artifacts", "--default-artifact-root", str(tmp_path / "root")],
        )
    )
    ours = start(
        TrackingServer(
            tmp_path / "ours",
            database_uri=databases.sqlite(),
            artifacts_destination=str(tmp_path / "root"),
            settings={"artifacts": {"serve": False}},
        )
    )
    pair = Servers(Client(stock.port), Client(ours.port), "disk")
    for method, path in (
        ("GET", f"{PROXY}/a"),
        ("PUT", f"{AJAX_PROXY}/a"),
        ("GET", f"{PROXY}?path=a"),
        ("DELETE", f"{AJAX_PROXY}/a"),
        ("POST", "/api/2.0/mlflow-artifacts/mpu/create/a"),
        ("POST", "/api/2.0/mlflow-artifacts/mpu/complete/a"),
        ("POST", "/ajax-api/2.0/mlflow-artifacts/mpu/abort/a"),
        ("GET", "/api/2.0/mlflow-artifacts/presigned/a"),
    ):
        assert pair.differ(method, path) is None, path
    for client in (pair.stock, pair.ours):
        info = new_run(client)
        client.run_id = info["run_id"]
        folder = Path(info["artifact_uri"])
        folder.mkdir(parents=True)
        (folder / "file.txt").write_text("direct")
    assert pair.differ("GET", f"{API}/artifacts/list?run_id={RUN}") is None
    assert pair.differ("GET", f"/get-artifact?run_id={RUN}&path=file.txt") is None
