"""Killed at any point and called again, a collection ends where an undisturbed one does."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from maintenance.gc import everything
from maintenance.gc.running import Gc, files_below, write_files
from support.databases import Databases, Dialect
from support.postgres import PostgresServer
from support.processes import plain_environment

_RUNS = 120


def _content(root: str) -> list[everything.World]:
    content = everything.worlds(root)
    runs = [
        {
            "run_uuid": everything.run_id(number),
            "lifecycle_stage": "deleted",
            "deleted_time": everything.OLD,
            "artifact_uri": f"{root}/9/{everything.run_id(number)}/artifacts",
            "status": "FINISHED",
            "source_type": "LOCAL",
        }
        for number in range(100, 100 + _RUNS)
    ]
    experiment = {"experiment_id": 9, "name": "many", "artifact_location": f"{root}/9", "lifecycle_stage": "deleted"}
    return [*content, everything.World(experiment | {"last_update_time": everything.OLD}, runs, [])]


class Copies:
    """One filled database and folder of artifacts, copied for every attempt."""

    def __init__(self, databases: Databases, dialect: Dialect, postgres: PostgresServer | None, folder: Path) -> None:
        self._postgres = postgres
        self._folder = folder
        self._artifacts = folder / "artifacts"
        self._template = databases.create(dialect)
        self.content = _content(str(self._artifacts))
        everything.fill(self._template, self.content)

    def make(self) -> str:
        """A new copy of the database, in place of the last one, and all artifacts again; returns its URI."""
        for world in self.content:
            for run in world.runs:
                write_files(Path(run["artifact_uri"]), ["model.pkl", "plots/a.png"])
            for model in world.models:
                write_files(Path(model["artifact_location"]), ["MLmodel"])
        if self._postgres is None:
            path = self._folder / "copy.db"
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            shutil.copyfile(self._template.removeprefix("sqlite:///"), path)
            return f"sqlite:///{path}"
        self._postgres.drop_database("gc_copy")
        return self._postgres.create_database("gc_copy", template=self._template.rpartition("/")[2])

    def left(self, uri: str) -> tuple[object, object]:
        return everything.dump(uri), files_below(self._artifacts)


@pytest.mark.parametrize("dialect", [pytest.param("sqlite", marks=pytest.mark.slow), "postgresql"])
@pytest.mark.parametrize("kills", [3, pytest.param(100, marks=pytest.mark.slow)])
def test_killed_and_called_again(
    request: pytest.FixtureRequest, databases: Databases, dialect: Dialect, kills: int, tmp_path: Path
) -> None:
    postgres = request.getfixturevalue("postgres_server") if dialect == "postgresql" else None
    copies = Copies(databases, dialect, postgres, tmp_path)
    uri = copies.make()
    gc = Gc(tmp_path, uri, str(tmp_path / "artifacts"))
    arguments = ("--jobs", "--older-than", "30d", "--rate", "4000")
    began = time.monotonic()
    assert gc(*arguments).code == 0
    duration = time.monotonic() - began
    undisturbed = copies.left(uri)

    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    hits = attempts = 0
    while hits < kills:
        uri = copies.make()
        for _ in range(2):
            process = subprocess.Popen(gc.command(*arguments), env=plain_environment(), stdout=subprocess.DEVNULL)
            time.sleep(chance.uniform(0.2, 1.0) * duration)
            hits += process.poll() is None
            attempts += 1
            process.kill()
            process.wait()
        again = gc(*arguments)
        assert (again.code, again.summary["kept"]) == (0, []), again.errors
        assert copies.left(uri) == undisturbed, f"seed {seed}"
    print(f"{hits} of {attempts} kills met a running collection")
    assert undisturbed[1], "everything was deleted: nothing was compared"
