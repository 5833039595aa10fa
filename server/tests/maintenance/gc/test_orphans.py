"""Orphans: artifacts without a row, rows without artifacts; nothing else is touched."""

from __future__ import annotations

import uuid
from pathlib import Path

from mlflow import MlflowClient

from maintenance.gc.running import Gc, files_below, write_files


def test_reports_then_deletes_what_no_row_names(sqlite_database: str, artifacts: Path, tmp_path: Path) -> None:
    client = MlflowClient(sqlite_database)
    experiment = client.create_experiment("one", artifact_location=f"{artifacts}/1")
    run = client.create_run(experiment).info.run_id
    registered, gone, gone_model = uuid.uuid4().hex, uuid.uuid4().hex, f"m-{uuid.uuid4().hex}"
    client.create_registered_model("kept")
    client.create_model_version("kept", f"{artifacts}/1/{registered}/artifacts/model")
    named = [
        f"1/{run}/artifacts/a",
        f"1/{registered}/artifacts/model/MLmodel",
        "1/notes.txt",
        "other/b",
        "1/models/x/c",
    ]
    orphans = [f"1/{gone}/artifacts/d", f"1/models/{gone_model}/artifacts/e", f"77/{gone}/artifacts/deep/f"]
    write_files(artifacts, named + orphans)
    gc = Gc(tmp_path, sqlite_database, str(artifacts))

    found = gc("--orphans")
    assert (found.code, found.summary["kept"], found.summary["deleted"]) == (0, [], False)
    assert len(found.summary["orphans"]) == found.summary["objects"] == 3
    assert set(files_below(artifacts)) == {*named, *orphans}

    assert gc("--delete-orphans").summary["orphans"] == found.summary["orphans"]
    assert set(files_below(artifacts)) == set(named)
    assert gc("--orphans").summary["orphans"] == []


def test_names_rows_whose_artifacts_are_gone(sqlite_database: str, artifacts: Path, tmp_path: Path) -> None:
    client = MlflowClient(sqlite_database)
    client.create_registered_model("lost")
    location = f"{artifacts}/somewhere/model"
    client.create_model_version("lost", location)
    report = Gc(tmp_path, sqlite_database, str(artifacts))("--orphans").summary
    assert report["missing"] == [{"id": "model version lost 1", "location": location}]
