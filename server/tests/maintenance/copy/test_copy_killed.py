"""Killed at any point and run again, a copy ends as one that nothing disturbed."""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from maintenance.copy.odd_rows import Pools, fill
from maintenance.copy.reading import differences, read_all
from maintenance.copy.running import command, copy_here, run_command, write_config
from maintenance.gc.running import files_below
from support.databases import Databases
from support.processes import plain_environment
from tracking_server.maintenance.copy.failures import CopyFailed

_ROWS = 60_000
_POOLS = Pools(["a", "ü" * 300, ""], [1, -1, 2**40], [0.5, 1e300], ["{}", "[1]"], [b"\0\xff"])


@pytest.fixture(scope="module")
def source(databases: Databases) -> str:
    """Rows in every table, and a table that takes two commits."""
    uri = databases.sqlite()
    fill(uri, _POOLS, 7)
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection:
        (run,) = connection.execute("SELECT run_uuid FROM runs LIMIT 1").fetchone()
        connection.executemany(
            "INSERT INTO metrics (key, value, timestamp, step, run_uuid, is_nan) VALUES ('k', ?, ?, 0, ?, 0)",
            ((number / 7, number, run) for number in range(_ROWS)),
        )
        connection.commit()
    return uri


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some hundred small files and a large one."""
    folder = tmp_path_factory.mktemp("artifacts")
    for number in range(300):
        file = folder / str(number % 7) / f"{number}.txt"
        file.parent.mkdir(exist_ok=True)
        file.write_text("x" * number)
    (folder / "large").write_bytes(b"0123456789abcdef" * 1_000_000)
    return folder


def _kill_and_resume(databases: Databases, folder: Path, source: str, artifacts: Path, kills: int) -> None:
    """Kills each copy twice, then lets it end, until so many kills met a running copy, and not all at one stage."""
    expected, files = read_all(source), files_below(artifacts)
    chooser = random.Random(kills)
    seconds, stages, hits, attempts = 6.0, set[str](), 0, 0
    while hits < kills or (len(stages) < 2 and attempts < 10 * kills):
        target = databases.postgresql()
        destination = folder / f"copied-{attempts}"
        config = write_config(folder / "target.toml", target, str(destination))
        arguments = ("--from", source, "--artifacts-from", artifacts, "--config", config, "--json")
        for _ in range(2):
            process = subprocess.Popen(
                command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=plain_environment()
            )
            time.sleep(chooser.uniform(0.25, 1.0) * seconds)
            hits += process.poll() is None
            attempts += 1
            process.send_signal(signal.SIGKILL)
            told = process.communicate()[1].decode()
            stages.add(told.rpartition("\n")[0].rpartition("\n")[2].partition(":")[0])
        began = time.monotonic()
        ended = run_command(*arguments)
        seconds = (seconds + time.monotonic() - began) / 2
        assert ended.status == 0, ended.err
        assert ended.summary["objects"] == len(files)
        assert differences(expected, read_all(target)) == []
        assert files_below(destination) == files
        databases.drop(target)
        shutil.rmtree(destination)
    print(f"{hits} of {attempts} kills met a running copy, the last words of which were: {', '.join(sorted(stages))}")
    assert len(stages) > 1, "all kills met the same stage"


@pytest.mark.parametrize("kills", [3, pytest.param(100, marks=pytest.mark.slow)])
def test_a_killed_copy_goes_on(databases: Databases, tmp_path: Path, source: str, artifacts: Path, kills: int) -> None:
    _kill_and_resume(databases, tmp_path, source, artifacts, kills)


class _Cut(Exception):
    """Stands for the end of the process after a commit."""


def _cut_copy(source: str, target: str, monkeypatch: pytest.MonkeyPatch, commits: int) -> None:
    """Ends a copy after so many commits of rows."""
    done = 0

    def advance(self: object, count: int, detail: str = "") -> None:
        nonlocal done
        if getattr(self, "_title", "") == "copying":
            done += 1
            if done == commits:
                raise _Cut

    with monkeypatch.context() as patched:
        patched.setattr("tracking_server.maintenance.copy.progress._LineStep.advance", advance)
        with pytest.raises(_Cut):
            copy_here(source, target)


@pytest.mark.parametrize("target_dialect", ["postgresql", "sqlite"])
def test_an_unfinished_copy_is_no_database_of_mlflow(
    databases: Databases, source: str, monkeypatch: pytest.MonkeyPatch, target_dialect: str
) -> None:
    target = databases.postgresql() if target_dialect == "postgresql" else databases.sqlite()
    _cut_copy(source, target, monkeypatch, 20)
    assert read_all(target)["alembic_version"] == []
    other = databases.sqlite()
    with pytest.raises(CopyFailed, match="unfinished copy of something else"):
        copy_here(other, target)
    with pytest.raises(CopyFailed, match="holds tables that are not MLflow's"):
        copy_here(target, databases.sqlite())
    copy_here(source, target)
    assert differences(read_all(source), read_all(target)) == []


def test_a_source_that_has_changed_meanwhile_is_noticed_and_begun_again(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = databases.sqlite(), databases.postgresql()
    fill(source, _POOLS, 3)
    _cut_copy(source, target, monkeypatch, 60)
    with closing(sqlite3.connect(source.removeprefix("sqlite:///"))) as connection:
        connection.execute("UPDATE experiments SET creation_time = 4711")
        connection.commit()
    with pytest.raises(CopyFailed, match="--restart"):
        copy_here(source, target)
    with psycopg.connect(target) as connection_to_target:
        assert connection_to_target.execute("SELECT * FROM alembic_version").fetchall() == []
    copy_here(source, target, restart=True)
    assert differences(read_all(source), read_all(target)) == []
