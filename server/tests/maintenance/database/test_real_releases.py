"""Databases that real older MLflows made and filled, upgraded, then served by us and read by today's client."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from mlflow.store.db.utils import _get_alembic_config

from support.databases import Dialect, upgrade_with_mlflow
from support.fixtures import DIALECTS, Starter
from support.ours import TrackingServer
from support.processes import LOCALHOST, ServerProcess, http_status, plain_environment
from support.requirements import Need, requires
from support.stock import StockServer
from tracking_server.exit_codes import ExitCode

from . import release_content
from .conftest import Database
from .old_schemas import OldDatabases, rows_of, schema_of

_EVERYWHERE = {"experiments": 5, "runs": 10, "registered models": 4}
_TRACED = _EVERYWHERE | {"traces": 4, "prompts": 2}
_LOGGED = _TRACED | {"logged models": 2}


@dataclass(frozen=True)
class Release:
    """``revision`` is its schema's, which ``status`` names by the newest release that has it. ``need`` is None for the
    MLflow of this environment. ``content`` counts what ``release_content`` writes with it, by kind.
    """

    need: Need | None
    revision: str
    newest: str
    content: Mapping[str, int]


RELEASES = {
    "2.9": Release("mlflow-2.9", "acf3f17fdcc7", "2.12", _EVERYWHERE),
    "2.22": Release("mlflow-2.22", "0584bdc529eb", "2.22", _TRACED),
    "3.1": Release("mlflow-3.1", "bda7b8c39065", "3.1", _LOGGED),
    "3.9": Release("mlflow-3.9", "d3e4f5a6b7c8", "3.9", _LOGGED | {"evaluation datasets": 2}),
    "3.17": Release(None, "dc11669786a5", "3.17", _LOGGED | {"evaluation datasets": 2}),
}


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", RELEASES)
def test_what_a_release_stored_is_read_after_the_upgrade(
    name: str,
    dialect: Dialect,
    old_databases: OldDatabases,
    database_at: Callable[[str], Database],
    start: Starter,
    tmp_path: Path,
) -> None:
    release = RELEASES[name]
    python = requires(release.need) if release.need else Path(sys.executable)
    database = database_at(old_databases.empty(dialect))
    artifacts = str(tmp_path / "artifacts")
    with _own_server(name, python, tmp_path / "old", database.uri, artifacts) as old:
        stored = _run(python, "write", database.uri, str(tmp_path / "direct"), old.url)
    assert {kind: len(found) for kind, found in stored.items() if found} == release.content
    by_stock = old_databases.copy(database.uri)
    upgrade_with_mlflow(by_stock)

    code, status = database.status()
    assert (status["current"], status["current_mlflow"]) == (release.revision, release.newest)
    pending = [each["revision"] for each in status["pending"]]
    assert pending == _revisions_after(release.revision)
    assert code == (ExitCode.SCHEMA_BEHIND if pending else ExitCode.OK)
    answer = database.upgrade()

    assert (answer["revisions"], answer["differences"]) == (len(pending), [])
    assert database.status()[0] == ExitCode.OK
    assert rows_of(database.uri) == rows_of(by_stock)
    assert schema_of(database.uri) == schema_of(by_stock)
    ours = start(TrackingServer(tmp_path / "ours", database_uri=database.uri, artifacts_destination=artifacts))
    found = _run(Path(sys.executable), "read", ours.url)
    for kind, content in stored.items():
        assert found[kind] == content
    for experiment in release_content.EXPERIMENTS:
        _assert_is_what_was_written(found, experiment)


class _Server29(ServerProcess):
    """What ``mlflow server`` starts in MLflow 2.9, whose command line Python 3.12 cannot load."""

    name = "mlflow-2.9"

    def __init__(self, folder: Path, python: Path, variables: Mapping[str, str]) -> None:
        super().__init__(folder)
        self._python = python
        self._variables = variables

    def command(self) -> Sequence[str | Path]:
        return [self._python, "-m", "gunicorn", "--bind", f"{LOCALHOST}:{self.port}", "mlflow.server:app"]

    def environment(self) -> Mapping[str, str]:
        return plain_environment(self._variables)

    def is_ready(self) -> bool:
        return http_status(self.port, "/health") == 200


def _own_server(name: str, python: Path, folder: Path, database_uri: str, artifacts: str) -> ServerProcess:
    """The release's tracking server, not started yet, which takes artifacts too."""
    if name != "2.9":
        return StockServer(folder, backend_store_uri=database_uri, artifacts_destination=artifacts, python=python)
    variables = {
        "_MLFLOW_SERVER_FILE_STORE": database_uri,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": artifacts,
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
    }
    return _Server29(folder, python, variables)


def _run(python: Path, *arguments: str) -> dict[str, Any]:
    """What ``release_content`` reads, run with the MLflow of ``python``."""
    fixed = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false"}
    done = subprocess.run(
        [python, release_content.__file__, *arguments],
        env=plain_environment(fixed),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return read


def _revisions_after(revision: str) -> list[str]:
    """What the installed MLflow's own history has after ``revision``, oldest first."""
    history = ScriptDirectory.from_config(_get_alembic_config("sqlite://"))
    return [each.revision for each in history.iterate_revisions("head", revision)][::-1]


def _assert_is_what_was_written(found: Mapping[str, Any], experiment: str) -> None:
    """Against what the script writes: what both clients read could have been lost on the way in."""
    (experiment_id,) = [each["id"] for each in found["experiments"] if each["name"] == experiment]
    runs = {run["where"][1]: run for run in found["runs"].values() if run["where"][0] == experiment_id}
    assert {name: run["state"][:2] for name, run in runs.items()} == {
        "finished": ["FINISHED", "active"],
        "child": ["FAILED", "active"],
        "running": ["RUNNING", "active"],
        "deleted": ["KILLED", "deleted"],
    }
    finished = runs["finished"]
    assert finished["params"] == release_content.PARAMS
    assert finished["tags"].items() >= release_content.TAGS.items()
    largest = sys.float_info.max  # in place of infinity
    odd = [
        repr(math.copysign(largest, value) if math.isinf(value) else value) for value in release_content.VALUES["odd"]
    ]
    assert [value for _, _, value in finished["history"]["odd"]] == odd
    assert len(finished["history"]["loss"]) == release_content.POINTS + 1
    assert finished["artifacts"].keys() == {"notes/a b.txt", "model/MLmodel"}
    for trace in found["traces"]:
        assert [span[1:4] for span in trace["spans"]] == [
            ["LLM", [1, None], "2"],
            ["UNKNOWN", {"question": "1+1"}, {"answer": 2}],
        ]
