"""The model registry with MLflow's own client: what is native without stock MLflow, and what stock must hear of."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
import requests
from mlflow import MlflowClient
from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent
from mlflow.exceptions import MlflowException

from support.fixtures import Starter
from support.ours import TrackingServer
from support.processes import LOCALHOST


def server_without_stock(folder: Path, database: str) -> TrackingServer:
    """A server that answers 503 to whatever it would forward."""
    return TrackingServer(
        folder,
        database_uri=database,
        artifacts_destination=str(folder / "artifacts"),
        workers=2,
        settings={"stock": {"enabled": False}},
    )


def call(server: TrackingServer, method: str, path: str, **body: object) -> Any:
    """The answer to a call that the client would repeat or refuse."""
    answer = requests.request(method, f"{server.url}/api/2.0/mlflow/{path}", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_model_from_its_run_to_its_alias_without_stock(start: Starter, database: str, tmp_path: Path) -> None:
    server = start(server_without_stock(tmp_path, database))
    client = MlflowClient(server.url)
    run = client.create_run(client.create_experiment("e"))
    client.create_registered_model("m", tags={"team": "blue"}, description="first")
    first = client.create_model_version("m", f"runs:/{run.info.run_id}/model", run_id=run.info.run_id)
    second = client.create_model_version("m", f"{run.info.artifact_uri}/model", run_id=run.info.run_id)
    client.create_model_version("m", "s3://bucket/model", tags={"k": "v"})
    client.set_registered_model_alias("m", "champion", second.version)
    client.set_model_version_tag("m", second.version, "checked", "yes")
    client.transition_model_version_stage("m", first.version, "production")
    client.transition_model_version_stage("m", "3", "Production", archive_existing_versions=True)
    copied = client.copy_model_version("models:/m@champion", "copy")

    found = client.get_model_version_by_alias("m", "champion")
    assert (found.version, found.aliases, found.tags) == (second.version, ["champion"], {"checked": "yes"})
    assert {each.version: each.current_stage for each in client.get_latest_versions("m")} == {
        first.version: "Archived",
        second.version: "None",
        "3": "Production",
    }
    assert client.get_model_version_download_uri("copy", copied.version) == f"{run.info.artifact_uri}/model"
    assert [each.name for each in client.search_registered_models(order_by=["name DESC"])] == ["m", "copy"]
    assert [each.version for each in client.search_model_versions("name = 'm' AND tags.k = 'v'")] == ["3"]

    client.rename_registered_model("m", "renamed")
    client.delete_registered_model_alias("renamed", "champion")
    client.delete_model_version("renamed", second.version)
    client.delete_registered_model("copy")
    with pytest.raises(MlflowException, match="Registered model alias champion not found"):
        client.get_model_version_by_alias("renamed", "champion")
    assert {each.version for each in client.search_model_versions("name = 'renamed'")} == {first.version, "3"}


def test_versions_made_at_once_are_numbered_without_gaps(start: Starter, database: str, tmp_path: Path) -> None:
    server = start(server_without_stock(tmp_path, database))
    MlflowClient(server.url).create_registered_model("m")

    def create(_: int) -> Any:
        tags = [{"key": "k", "value": "v"}]
        return call(server, "POST", "model-versions/create", name="m", source="s3://bucket/model", tags=tags)[
            "model_version"
        ]

    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(create, range(16)))

    assert sorted(int(each["version"]) for each in made) == list(range(1, 17))
    assert all(each["tags"] == [{"key": "k", "value": "v"}] for each in made)
    model = MlflowClient(server.url).get_registered_model("m")
    assert [each.version for each in model.latest_versions] == ["16"]


@contextmanager
def listener() -> Iterator[tuple[str, Queue[dict[str, Any]]]]:
    """An HTTP server on this machine and the queue of what it was told."""
    heard: Queue[dict[str, Any]] = Queue()

    class Hear(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer((LOCALHOST, 0), Hear) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        try:
            yield f"http://{LOCALHOST}:{http.server_port}/hook", heard
        finally:
            http.shutdown()
            thread.join()


def test_a_webhook_hears_of_what_changes(start: Starter, sqlite_database: str, tmp_path: Path) -> None:
    events = {
        "registered_model.created": WebhookEvent(WebhookEntity.REGISTERED_MODEL, WebhookAction.CREATED),
        "model_version.created": WebhookEvent(WebhookEntity.MODEL_VERSION, WebhookAction.CREATED),
        "model_version_tag.set": WebhookEvent(WebhookEntity.MODEL_VERSION_TAG, WebhookAction.SET),
        "model_version_tag.deleted": WebhookEvent(WebhookEntity.MODEL_VERSION_TAG, WebhookAction.DELETED),
        "model_version_alias.created": WebhookEvent(WebhookEntity.MODEL_VERSION_ALIAS, WebhookAction.CREATED),
        "model_version_alias.deleted": WebhookEvent(WebhookEntity.MODEL_VERSION_ALIAS, WebhookAction.DELETED),
        "prompt_tag.set": WebhookEvent(WebhookEntity.PROMPT_TAG, WebhookAction.SET),
        "prompt_tag.deleted": WebhookEvent(WebhookEntity.PROMPT_TAG, WebhookAction.DELETED),
    }
    server = start(
        TrackingServer(
            tmp_path,
            database_uri=sqlite_database,
            artifacts_destination=str(tmp_path / "artifacts"),
            environment={"MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http", "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true"},
        )
    )
    client = MlflowClient(server.url)
    with listener() as (url, heard):
        webhook = client.create_webhook("hook", url, list(events.values()))
        client.create_registered_model("m")
        client.create_model_version("m", "s3://bucket/model")
        client.set_model_version_tag("m", "1", "k", "v")
        client.delete_model_version_tag("m", "1", "k")
        client.set_registered_model_alias("m", "champion", "1")
        client.delete_registered_model_alias("m", "champion")
        prompt = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
        call(server, "POST", "registered-models/create", name="p", tags=prompt)
        call(server, "POST", "registered-models/set-tag", name="p", key="k", value="v")
        call(server, "DELETE", "registered-models/delete-tag", name="p", key="k")
        told = [heard.get(timeout=30) for _ in events]
        assert {f"{each['entity']}.{each['action']}" for each in told} == set(events)

        client.delete_webhook(webhook.webhook_id)
        client.create_model_version("m", "s3://bucket/model")
        assert [each.version for each in client.search_model_versions("name = 'm'")] == ["2", "1"]
