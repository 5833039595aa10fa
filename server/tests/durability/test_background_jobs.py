"""MLflow's background jobs by default: no process for them until somebody needs one, and then they are done."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from durability.running import eventually, get, guard, ready, request
from support.databases import Databases
from support.fixtures import Starter
from support.ours import TrackingServer

JOBS = "/ajax-api/3.0/jobs/"


def processes_of_jobs(server: TrackingServer) -> list[str]:
    """Which parts of ``mlflow.server.jobs`` stock's processes run."""
    words = [word for each in guard(server).children(recursive=True) for word in each.cmdline()]
    return sorted({word.split(".")[3] for word in words if word.startswith("mlflow.server.jobs.")})


def stock_is_ready(server: TrackingServer) -> bool:
    return bool(ready(server)[1]["stock"]["state"] == "ready")


def ended(server: TrackingServer, job_id: str) -> Any:
    """The job once it is at its end."""

    def look() -> Any:
        # Each look is a request, which the report of a failure shows.
        time.sleep(0.5)
        status, body = get(server, JOBS + job_id)
        assert status == 200, body
        found = json.loads(body)
        return None if found["status"] in ("PENDING", "RUNNING") else found

    return eventually(look)


@pytest.mark.slow
def test_a_job_makes_stock_run_jobs_and_is_done(tmp_path: Path, databases: Databases, start: Starter) -> None:
    uri = databases.sqlite()
    server = start(
        TrackingServer(
            tmp_path / "server",
            database_uri=uri,
            artifacts_destination=str(tmp_path / "artifacts"),
            workers=2,
            eager=True,
        )
    )
    eventually(lambda: stock_is_ready(server))
    assert get(server, JOBS + "no-such-job")[0] == 404
    assert processes_of_jobs(server) == []
    plain = {each.pid for each in guard(server).children(recursive=True)}

    # Runs without a language model, as it finds no scorer.
    params = {"experiment_id": "0", "serialized_scorer": "{}", "trace_ids": []}
    response, body = request(server, JOBS, {"job_name": "invoke_scorer", "params": params})
    assert response.status == 200, body
    job_id = json.loads(body)["job_id"]
    done = ended(server, job_id)
    assert done["status"] == "FAILED"
    assert "Failed to validate scorer" in done["result"], done
    runner = ["_huey_consumer", "_job_runner", "_periodic_tasks_consumer"]
    assert eventually(lambda: processes_of_jobs(server) == runner)
    assert not any(psutil.pid_exists(pid) for pid in plain)
    assert server.logs().count("stock MLflow is started again with them") == 1
    assert "stock MLflow ended" not in server.logs()

    # What a server left unfinished is done by the next one without being asked for.
    server.stop()
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as database, database:
        database.execute("UPDATE jobs SET status = 1, result = NULL")
    server.start()
    assert "Failed to validate scorer" in ended(server, job_id)["result"]
    assert "from its start on: the database holds a job that is not finished" in server.logs()
