"""Artifacts moved alone: the database stays where it is, and its rows name the new place of what was copied."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from pathlib import Path

import mlflow
import psycopg
import pytest

from maintenance.copy.everything import large_artifact, read_everything, write_everything
from maintenance.copy.odd_rows import Pools, fill, relocate_rows
from maintenance.copy.reading import differences, read_all
from maintenance.copy.running import command, copy_here, relocation_only, run_command, write_config
from maintenance.gc.running import files_below
from support.databases import Databases, Dialect
from support.fixtures import DIALECTS, Starter
from support.ours import TrackingServer
from support.processes import plain_environment
from support.s3 import S3Server
from tracking_server.exit_codes import ExitCode
from tracking_server.maintenance.copy.failures import CopyFailed

_POOLS = Pools(["a", "ü" * 30, ""], [1, -1, 2**40], [0.5], ["{}"], [b"\0"])
_OLD, _NEW = "/old/artifacts", "s3://bucket/nëw"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_location_changes_and_nothing_else(databases: Databases, dialect: Dialect, tmp_path: Path) -> None:
    uri = databases.sqlite()
    fill(uri, _POOLS, 5, rows=30)
    if dialect == "postgresql":
        filled, uri = uri, databases.postgresql()
        copy_here(filled, uri)
    before, expected = read_all(uri), read_all(uri)
    relocate_rows(expected, _NEW)
    changed = sum(
        mine[name] != other[name]
        for table, rows in before.items()
        for mine, other in zip(rows, expected[table], strict=True)
        for name in mine
    )

    summary = copy_here(uri, uri, artifacts=relocation_only(_OLD, _NEW, tmp_path / "artifacts"))

    assert differences(expected, read_all(uri)) == []
    assert summary.rows == changed > 20
    assert copy_here(uri, uri, artifacts=relocation_only(_OLD, _NEW, tmp_path / "artifacts")).rows == 0


def test_what_would_not_fit_is_refused_before_anything_is_copied(databases: Databases, tmp_path: Path) -> None:
    uri = databases.postgresql()
    with psycopg.connect(uri) as connection:
        connection.execute(
            "INSERT INTO runs (run_uuid, lifecycle_stage, artifact_uri) VALUES ('r', 'active', '/old/artifacts/r')"
        )
    artifacts = relocation_only(_OLD, "s3://bucket/" + "x" * 190, tmp_path)
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "file").write_text("x")
    before = read_all(uri)
    with pytest.raises(CopyFailed, match="too long"):
        copy_here(uri, uri, artifacts=artifacts)
    assert not (tmp_path / "to").exists()
    assert differences(before, read_all(uri)) == []


def test_without_artifacts_there_is_nothing_to_do(databases: Databases) -> None:
    uri = databases.sqlite()
    with pytest.raises(CopyFailed, match="no artifacts are to move") as refused:
        copy_here(uri, uri)
    assert refused.value.exit_code is ExitCode.BAD_CONFIGURATION
    ended = run_command("--to", uri)
    assert (ended.status, ended.err) == (2, "error: a copy without --from needs --artifacts-from\n")


@pytest.mark.slow
@pytest.mark.usefixtures("mlflow_as_before")
def test_a_server_finds_everything_in_the_new_place(start: Starter, s3_server: S3Server, tmp_path: Path) -> None:
    uri, old = f"sqlite:///{tmp_path}/data/mlflow.db", tmp_path / "data/artifacts"
    embedded = start(TrackingServer(tmp_path / "embedded", database_uri=uri, artifacts_destination=str(old)))
    written = write_everything(embedded.url, f"file://{old}/direct place")
    large_artifact(embedded.url, written.run_id, str(tmp_path / "large.bin"))
    expected = read_everything(embedded.url, written)
    bucket = s3_server.create_bucket("moved-alone")
    config = write_config(tmp_path / "new.toml", uri, bucket, s3_server.artifact_settings())
    arguments = ("--artifacts-from", old, "--config", config, "--json")
    assert run_command(*arguments).status == ExitCode.LOCKED
    embedded.stop()

    ended = run_command(*arguments)

    assert (ended.status, ended.summary["objects"]) == (0, len(files_below(old))), ended.err
    shutil.rmtree(old)
    settings = {"artifacts": s3_server.artifact_settings()}
    new = start(TrackingServer(tmp_path / "new", database_uri=uri, artifacts_destination=bucket, settings=settings))
    assert read_everything(new.url, written) == expected
    direct = mlflow.MlflowClient(new.url).get_run(written.direct_run_id).info.artifact_uri
    assert str(direct).startswith(f"{bucket}/direct place/")


@pytest.mark.slow
def test_killed_at_any_time_rows_name_only_what_is_there(databases: Databases, tmp_path: Path) -> None:
    uri, old, new = databases.sqlite(), tmp_path / "old", tmp_path / "new"
    fill(uri, _POOLS, 5)
    for number in range(400):
        file = old / str(number % 7) / f"{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x" * 1000 * number)
    # The rows' old root is this folder.
    copy_here(uri, uri, artifacts=relocation_only(_OLD, str(old), tmp_path / "none"))
    before = read_all(uri)
    files = files_below(old)
    arguments = ("--to", uri, "--artifacts-from", old, "--artifacts-to", new, "--json")
    chooser, seconds, hits = random.Random(3), 4.0, 0
    while hits < 10:
        began = time.monotonic()
        process = subprocess.Popen(command(*arguments), stdout=subprocess.DEVNULL, env=plain_environment())
        time.sleep(chooser.uniform(0.3, 1.0) * seconds)
        hits += process.poll() is None
        process.kill()
        process.wait()
        found = read_all(uri)
        if differences(before, found):
            assert files_below(new) == files
            seconds = time.monotonic() - began
            ended = run_command("--to", uri, "--artifacts-from", new, "--artifacts-to", old, "--json")
            assert ended.status == 0, ended.err
            assert differences(before, read_all(uri)) == []
            shutil.rmtree(new)
    ended = run_command(*arguments)
    assert (ended.status, ended.summary["objects"]) == (0, len(files)), ended.err
    assert ended.summary["rows"] > 0
    assert files_below(new) == files
