"""The command as the charm calls it: from embedded mode to PostgreSQL and S3, and served from there."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from mlflow import MlflowClient

from maintenance.copy.everything import large_artifact, read_everything, write_everything
from maintenance.copy.reading import differences, read_all
from maintenance.copy.running import run_command, write_config
from support.databases import Databases
from support.fixtures import Starter
from support.ours import TrackingServer
from support.s3 import S3Server


@pytest.mark.slow
@pytest.mark.usefixtures("mlflow_as_before")
def test_embedded_data_is_served_from_postgresql_and_s3(
    start: Starter, databases: Databases, s3_server: S3Server, tmp_path: Path
) -> None:
    source = f"sqlite:///{tmp_path}/data/mlflow.db"
    old_root = tmp_path / "data/artifacts"
    embedded = start(TrackingServer(tmp_path / "embedded", database_uri=source, artifacts_destination=str(old_root)))
    written = write_everything(embedded.url, f"file://{old_root}/direct place")
    large_artifact(embedded.url, written.run_id, str(tmp_path / "large.bin"))
    expected = read_everything(embedded.url, written)

    target = databases.postgresql()
    destination = s3_server.create_bucket(f"copy-{secrets.token_hex(4)}") + "/art"
    config = write_config(tmp_path / "new.toml", target, destination, s3_server.artifact_settings())
    arguments = ("--from", source, "--artifacts-from", old_root, "--config", config, "--json")
    refused = run_command(*arguments)
    assert (refused.status, refused.out) == (14, "")
    assert "serve" in refused.err
    embedded.stop()

    rows = read_all(source)
    copied = run_command(*arguments)
    assert copied.status == 0, copied.err
    files = [file for file in old_root.rglob("*") if file.is_file()]
    summary = copied.summary
    assert summary.pop("seconds") > 0
    assert summary == {
        "rows": sum(map(len, rows.values())) - len(rows["alembic_version"]),
        "tables": len(rows) - 1,
        "objects": len(files),
        "bytes": sum(file.stat().st_size for file in files),
    }
    for row in (*rows["experiments"], *rows["runs"]):
        for name in ("artifact_location", "artifact_uri"):
            if row.get(name):
                row[name] = row[name].replace(f"file://{old_root}", destination)
    assert differences(rows, read_all(target)) == []
    # Who forgot that it has succeeded may ask again, and nothing is written.
    again = run_command(*arguments)
    assert (again.status, again.summary["objects"]) == (0, len(files)), again.err

    new = start(
        TrackingServer(
            tmp_path / "new",
            database_uri=target,
            artifacts_destination=destination,
            settings={"artifacts": s3_server.artifact_settings()},
        )
    )
    assert read_everything(new.url, written) == expected
    client = MlflowClient(new.url)
    location = client.get_run(written.direct_run_id).info.artifact_uri
    assert location is not None
    assert location.startswith(f"{destination}/direct place/")
    made = client.create_experiment("after the copy")
    assert int(made) == 1 + max(row["experiment_id"] for row in rows["experiments"])
    run = client.create_run(made)
    client.log_metric(run.info.run_id, "m", 2.0)
    client.log_text(run.info.run_id, "new", "new.txt")
    assert [each.path for each in client.list_artifacts(run.info.run_id)] == ["new.txt"]
    client.restore_experiment(written.deleted_experiment_id)
    # Its data is another's now, so that a copy over it is refused.
    new.stop()
    over = run_command(*arguments)
    assert over.status == 1
    assert "holds data that is not the source's" in over.err


def test_a_bucket_is_copied_to_another_and_to_a_folder(
    databases: Databases, s3_server: S3Server, tmp_path: Path
) -> None:
    bucket = f"copy-{secrets.token_hex(4)}"
    first = s3_server.create_bucket(bucket)
    for name, size in (("1/a/artifacts/x.txt", 3), ("1/a/artifacts/deep/ü 1", 0), ("2/large", 9_000_000)):
        s3_server.client().put_object(Bucket=bucket, Key=f"old/{name}", Body=b"x" * size)
    source, second = databases.sqlite(), s3_server.create_bucket(f"{bucket}-2")
    settings = s3_server.artifact_settings()
    config = write_config(tmp_path / "1.toml", databases.sqlite(), f"{second}/new", settings)
    copied = run_command("--from", source, "--artifacts-from", f"{first}/old", "--config", config, "--json")
    assert (copied.status, copied.summary["objects"], copied.summary["bytes"]) == (0, 3, 9_000_003), copied.err
    config = write_config(tmp_path / "2.toml", databases.sqlite(), str(tmp_path / "folder"), settings)
    copied = run_command("--from", source, "--artifacts-from", f"{second}/new", "--config", config, "--json")
    assert (copied.status, copied.summary["objects"], copied.summary["bytes"]) == (0, 3, 9_000_003), copied.err
    sizes = {
        str(file.relative_to(tmp_path / "folder")): file.stat().st_size
        for file in tmp_path.glob("folder/**/*")
        if file.is_file()
    }
    assert sizes == {"1/a/artifacts/x.txt": 3, "1/a/artifacts/deep/ü 1": 0, "2/large": 9_000_000}


def test_the_password_in_a_target_wins_over_the_files(databases: Databases, tmp_path: Path) -> None:
    target = databases.postgresql()
    config = tmp_path / "other.toml"
    config.write_text('[database]\nuri = "postgresql://mlflow@nowhere/other"\npassword = "other"\n')
    config.chmod(0o600)
    copied = run_command("--from", databases.sqlite(), "--to", target, "--config", config, "--json")
    assert (copied.status, copied.summary["tables"]) == (0, 64), copied.err
    assert len(read_all(target)["alembic_version"]) == 1
    nowhere = run_command("--from", databases.sqlite())
    assert (nowhere.status, nowhere.err) == (2, "error: say where to copy to: --to URI, or --config FILE\n")
