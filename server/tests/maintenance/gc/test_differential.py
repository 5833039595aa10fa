"""After a collection, rows and artifacts equal those that `mlflow gc` leaves."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from maintenance.gc import everything
from maintenance.gc.running import Gc, StockGc, files_below, write_files
from support.databases import Databases, Dialect

ALL = ["--jobs"]
OLD_ONLY = ["--jobs", "--older-than", "30d"]
NAMED = [
    *("--run-ids", f"{everything.run_id(3)},{everything.run_id(2)}", "--logged-model-ids", "m-3"),
    *("--experiment-ids", "4", "--job-ids", "job-2,job-0,job-5"),
]
NAMED_AND_OLD = ["--older-than", "30d", "--experiment-ids", "2", "--run-ids", everything.run_id(2)]


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(ALL, id="all"),
        pytest.param(OLD_ONLY, id="old", marks=pytest.mark.slow),
        pytest.param(NAMED, id="named", marks=pytest.mark.slow),
        pytest.param(NAMED_AND_OLD, id="named and old", marks=pytest.mark.slow),
    ],
)
def test_leaves_what_stock_leaves(
    databases: Databases, dialect: Dialect, arguments: Sequence[str], artifacts: Path, tmp_path: Path
) -> None:
    content = everything.worlds(str(artifacts))
    uris = [databases.create(dialect) for _ in range(2)]
    left = []
    try:
        for uri, collect in (
            (uris[0], StockGc(uris[0], {})),
            (uris[1], Gc(tmp_path, uris[1], str(artifacts))),
        ):
            everything.fill(uri, everything.worlds(str(artifacts)))
            _write_artifacts(artifacts, content)
            before = everything.dump(uri)
            if isinstance(collect, StockGc):
                assert collect(*arguments) is None
            else:
                planned = collect(*arguments, "--dry-run")
                assert everything.dump(uri) == before
                done = collect(*arguments)
                assert (done.code, done.summary["kept"]) == (0, []), done.errors
                gone = {name: len(rows) - len(everything.dump(uri)[name]) for name, rows in before.items()}
                assert done.summary["rows"] == sum(gone.values())
                assert (done.summary["runs"], done.summary["traces"]) == (gone["runs"], gone["trace_info"])
                varying = {"dry_run": None, "seconds": None}
                assert planned.summary | varying == done.summary | varying
            left.append((everything.dump(uri), files_below(artifacts), _folders(artifacts)))
            shutil.rmtree(artifacts)
    finally:
        for uri in uris:
            databases.drop(uri)
    stock, ours = left
    for table, rows in stock[0].items():
        assert ours[0][table] == rows, table
    assert ours[1:] == stock[1:]
    assert ours[1], "nothing was left to compare"


def _folders(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_dir())


def _write_artifacts(root: Path, content: Sequence[everything.World]) -> None:
    places = [run["artifact_uri"] for world in content for run in world.runs]
    places += [model["artifact_location"] for world in content for model in world.models]
    for place in places:
        # One run's artifacts are missing: that is no error.
        if everything.run_id(8) not in place:
            write_files(Path(place), ["model.pkl", "plots/a b.png", "plots/deep/ü.txt"])
    write_files(root, ["1/traces/tr-1/artifacts/traces.json", "unrelated.txt"])
