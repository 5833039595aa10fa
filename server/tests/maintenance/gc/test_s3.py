"""Artifacts in buckets of a real S3 server: bulk deletes, other buckets, and buckets that refuse us."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from maintenance.gc import everything
from maintenance.gc.everything import OLD, TABLES, World, run_id
from maintenance.gc.running import Done, Gc
from support.s3 import S3Server


class Bucket:
    """A bucket of the test's own."""

    def __init__(self, server: S3Server, name: str) -> None:
        self.name = name
        self.uri = server.create_bucket(name)
        self._client = server.client()

    def put(self, *keys: str) -> None:
        for key in keys:
            self._client.put_object(Bucket=self.name, Key=key, Body=key.encode())

    def keys(self) -> set[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return {item.get("Key", "") for page in pages for item in page.get("Contents", [])}


@pytest.fixture
def bucket(s3_server: S3Server, tmp_path: Path) -> Bucket:
    return Bucket(s3_server, f"gc-{tmp_path.name.replace('_', '-')[-40:]}".lower())


def _deleted_run(number: int, location: str) -> dict[str, object]:
    return {
        "run_uuid": run_id(number),
        "lifecycle_stage": "deleted",
        "deleted_time": OLD,
        "artifact_uri": location,
        "status": "FINISHED",
        "source_type": "LOCAL",
    }


def _fill(uri: str, *locations: str) -> None:
    runs = [_deleted_run(number, location) for number, location in enumerate(locations, 1)]
    experiment = {"experiment_id": 0, "name": "Default", "artifact_location": "x", "lifecycle_stage": "active"}
    everything.fill(uri, [World(experiment, runs, [])])


def _runs(uri: str) -> set[str]:
    engine = sa.create_engine(uri)
    with engine.connect() as connection:
        found = set(connection.execute(sa.select(TABLES["runs"].c.run_uuid)).scalars())
    engine.dispose()
    return found


def test_deletes_in_the_configured_bucket_and_in_others(
    sqlite_database: str, s3_server: S3Server, bucket: Bucket, tmp_path: Path
) -> None:
    other = Bucket(s3_server, f"{bucket.name}-other")
    bucket.put(
        "base/0/a/artifacts/1", "base/0/a/artifacts/deep/2 ü", "base/0/a/artifacts2/near", "base/0/b/artifacts/3"
    )
    other.put("0/c/artifacts/4", "0/d/artifacts/5")
    _fill(
        sqlite_database,
        "mlflow-artifacts:/0/a/artifacts",
        f"{bucket.uri}/base/0/b/artifacts",
        f"{other.uri}/0/c/artifacts",
    )
    gc = Gc(tmp_path, sqlite_database, f"{bucket.uri}/base", s3_server.artifact_settings())
    assert gc("--dry-run").summary["objects"] == 4
    done = gc()
    assert (done.code, done.summary["runs"], done.summary["objects"]) == (0, 3, 4)
    assert bucket.keys() == {"base/0/a/artifacts2/near"}
    assert other.keys() == {"0/d/artifacts/5"}
    assert _runs(sqlite_database) == set()


def test_keeps_and_names_runs_whose_bucket_refuses_us(
    sqlite_database: str, s3_server: S3Server, bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put("0/a/artifacts/1")
    _fill(sqlite_database, f"{bucket.uri}/0/a/artifacts", "s3://no-such-bucket-here/0/b/artifacts", bucket.uri)
    wrong = s3_server.artifact_settings() | {"s3_secret_access_key": "wrong"}
    done = Gc(tmp_path, sqlite_database, bucket.uri, wrong)()
    assert done.code == 15
    assert {kept["id"] for kept in done.summary["kept"]} == {f"run {run_id(number)}" for number in (1, 2, 3)}
    assert bucket.keys() == {"0/a/artifacts/1"}

    done = Gc(tmp_path, sqlite_database, bucket.uri, s3_server.artifact_settings())()
    reasons = {kept["id"]: kept["reason"] for kept in done.summary["kept"]}
    assert (done.code, done.summary["runs"]) == (15, 1)
    assert "no-such-bucket-here" in reasons[f"run {run_id(2)}"]
    assert "not a directory of its own" in reasons[f"run {run_id(3)}"]
    assert _runs(sqlite_database) == {run_id(2), run_id(3)}
    assert bucket.keys() == set()


def test_leaves_other_storages_to_mlflow(sqlite_database: str, artifacts: Path, tmp_path: Path) -> None:
    _fill(sqlite_database, "unheard-of://host/0/a/artifacts", f"file://{artifacts}/0/b/artifacts?version=1")
    done: Done = Gc(tmp_path, sqlite_database, str(artifacts))()
    assert [kept["id"] for kept in done.summary["kept"]] == [f"run {run_id(1)}"]
    assert "unheard-of" in done.summary["kept"][0]["reason"]


def test_sweeps_over_neighbours_and_leaves_the_others(
    sqlite_database: str, s3_server: S3Server, bucket: Bucket, tmp_path: Path
) -> None:
    # Dense at first, then sparse: the sweep begins, and gives way to one listing for each run.
    numbers = [*range(1, 20), *range(30, 300, 30)]
    folders = [f"9/{run_id(number)}/artifacts" for number in numbers]
    gone = [f"{folder}/{name}" for folder in folders for name in ("a", "deep/b")]
    stay = [f"9/{run_id(number)}/artifacts/{file}" for number in range(20, 300) if number % 30 for file in "xyzuvw"]
    stay += [f"{folders[0]}-near/c", f"{folders[3]}.txt", "9/models/m/d", "9/a-b/e"]
    _fill(sqlite_database, *(f"{bucket.uri}/{folder}" for folder in folders))
    bucket.put(*gone, *stay)
    gc = Gc(tmp_path, sqlite_database, bucket.uri, s3_server.artifact_settings())
    assert gc("--dry-run").summary["objects"] == len(gone)
    done = gc()
    assert (done.code, done.summary["objects"]) == (0, len(gone))
    assert bucket.keys() == set(stay)
