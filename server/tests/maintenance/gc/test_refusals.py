"""What stock refuses is refused, in its words, before anything is deleted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from maintenance.gc import everything
from maintenance.gc.running import Gc, StockGc

REFUSED = {
    "unknown run": ["--run-ids", f"{everything.run_id(2)},nope"],
    "active run": ["--run-ids", everything.run_id(1)],
    "young run": ["--older-than", "30d", "--run-ids", everything.run_id(3)],
    "unknown experiment": ["--experiment-ids", "99"],
    "no number": ["--experiment-ids", "one"],
    "active experiment": ["--experiment-ids", "2,1"],
    "young experiment": ["--older-than", "30d", "--experiment-ids", "3"],
    "unknown model": ["--logged-model-ids", "m-99"],
    "active model": ["--logged-model-ids", "m-1"],
    "young model": ["--older-than", "30d", "--logged-model-ids", "m-3"],
}


def test_refuses_in_stocks_words(sqlite_database: str, artifacts: Path, tmp_path: Path) -> None:
    everything.fill(sqlite_database, everything.worlds(str(artifacts)))
    gc, stock = Gc(tmp_path, sqlite_database, str(artifacts)), StockGc(sqlite_database, {})
    before = everything.dump(sqlite_database)
    ours = {name: gc(*arguments) for name, arguments in REFUSED.items()}
    assert everything.dump(sqlite_database) == before
    for name, done in ours.items():
        # Stock deletes all runs before it looks at the ids of models: it comes last, on one database.
        assert (done.code, done.errors.strip()) == (2, f"error: {stock(*REFUSED[name])}"), name


@pytest.mark.parametrize("arguments", [["--older-than", "soon"], ["--limit", "0"], ["--rate", "-1"]])
def test_refuses_what_makes_no_sense(
    sqlite_database: str, artifacts: Path, tmp_path: Path, arguments: Sequence[str]
) -> None:
    assert Gc(tmp_path, sqlite_database, str(artifacts))(*arguments).code == 2


def test_names_no_database_that_is_not_there(tmp_path: Path) -> None:
    done = Gc(tmp_path, f"sqlite:///{tmp_path}/none.db", str(tmp_path))()
    assert (done.code, "does not exist" in done.errors) == (5, True)
    assert not (tmp_path / "none.db").exists()
