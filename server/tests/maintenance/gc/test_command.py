"""The command's own options: --only, --limit, --rate, and one collection at a time."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path

import psycopg

from maintenance.gc import everything
from maintenance.gc.running import Gc
from tracking_server.store.lock_names import COLLECTION_KEY, collection_lock_file


def test_only_collects_nothing_but_what_is_named(sqlite_database: str, artifacts: Path, tmp_path: Path) -> None:
    everything.fill(sqlite_database, everything.worlds(str(artifacts)))
    gc = Gc(tmp_path, sqlite_database, str(artifacts))
    summary = gc("--only", "--experiment-ids", "4").summary
    assert (summary["runs"], summary["experiments"], summary["logged_models"]) == (1, 1, 0)
    assert gc("--only").summary["rows"] == 0


def test_limit_leaves_the_rest_for_the_next_time(sqlite_database: str, artifacts: Path, tmp_path: Path) -> None:
    everything.fill(sqlite_database, everything.worlds(str(artifacts)))
    gc = Gc(tmp_path, sqlite_database, str(artifacts))
    whole = gc("--dry-run").summary
    rows = runs = rounds = 0
    limited = True
    while limited:
        planned = gc("--limit", "4", "--dry-run").summary
        summary = gc("--limit", "4").summary
        assert {**planned, "dry_run": False, "seconds": summary["seconds"]} == summary
        rows, runs, rounds = rows + summary["rows"], runs + summary["runs"], rounds + 1
        limited = summary["limited"]
    assert (rows, runs) == (whole["rows"], whole["runs"])
    assert rounds > 2


def test_rate_bounds_rows_and_artifacts_a_second(sqlite_database: str, artifacts: Path, tmp_path: Path) -> None:
    everything.fill(sqlite_database, everything.worlds(str(artifacts)))
    rows = Gc(tmp_path, sqlite_database, str(artifacts))("--dry-run").summary["rows"]
    began = time.monotonic()
    assert Gc(tmp_path, sqlite_database, str(artifacts))("--rate", str(rows / 3)).code == 0
    assert time.monotonic() - began >= 2.9


def test_one_collection_at_a_time(
    sqlite_database: str, postgres_database: str, artifacts: Path, tmp_path: Path
) -> None:
    path = Path(sqlite_database.removeprefix("sqlite:///"))
    with collection_lock_file(path).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = Gc(tmp_path, sqlite_database, str(artifacts))()
        assert (done.code, "another process collects" in done.errors) == (14, True)
    with psycopg.connect(postgres_database) as connection:
        connection.execute("SELECT pg_advisory_lock(%s::bigint)", [COLLECTION_KEY])
        gc = Gc(tmp_path, postgres_database, str(artifacts))
        assert gc().code == 14
        assert gc("--dry-run").code == 0
    assert gc().code == 0


def test_keeps_an_experiment_whose_scorer_a_guardrail_uses(
    sqlite_database: str, artifacts: Path, tmp_path: Path
) -> None:
    worlds = everything.worlds(str(artifacts))
    everything.fill(sqlite_database, worlds)
    version = worlds[4].rows["scorer_versions"][0]
    row = {"scorer_id": version["scorer_id"], "scorer_version": version["scorer_version"]}
    everything.insert(sqlite_database, "guardrails", row)
    before = everything.dump(sqlite_database)
    done = Gc(tmp_path, sqlite_database, str(artifacts))()
    assert done.code == 15
    assert [kept["id"] for kept in done.summary["kept"]] == ["experiment 4"]
    after = everything.dump(sqlite_database)
    assert {row[0] for row in after["experiments"]} == {0, 1, 4}
    assert len(after["runs"]) < len(before["runs"])
