"""Makes a Pair: copies the template database twice, starts both servers on the copies (or borrows running ones)."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from differential.harness.pair import Pair, Side
from differential.harness.rows import Dump, PostgresDump, SqliteDump
from differential.harness.servers import Process, start_stock, start_tracking_server
from differential.harness.wire import Connection

Start = Callable[[str, Path], Process]
DIALECTS = ("sqlite", "postgresql")


def dump_of(uri: str) -> Dump:
    """A view from outside on the database at ``uri``."""
    if uri.startswith("sqlite:///"):
        return SqliteDump(Path(uri.removeprefix("sqlite:///")))
    return PostgresDump(uri)


def running(name: str) -> dict[str, str] | None:
    """URL and database URI of the server ``name`` in the file that DIFFERENTIAL_RUNNING names, if it is there."""
    place = os.environ.get("DIFFERENTIAL_RUNNING")
    if place is None:
        return None
    found: dict[str, dict[str, str]] = json.loads(Path(place).read_text())
    return found.get(name)


@contextmanager
def make_pair(dialect: str, folder: Path, new_database: Callable[[str], str]) -> Iterator[Pair]:
    """Both servers on fresh databases made by ``new_database(name)``; they end with the context."""
    ours_is_stock = os.environ.get("DIFFERENTIAL_OURS") == "stock"
    starts: dict[str, Start] = {"stock": start_stock, "ours": start_stock if ours_is_stock else start_tracking_server}
    with ExitStack() as stack:
        sides: list[Side] = []
        processes: list[Process] = []
        for name, start in starts.items():
            borrowed = running(f"{name}-{dialect}" if name == "stock" or not ours_is_stock else f"second-{dialect}")
            if borrowed is not None:
                url, uri = borrowed["url"], borrowed["uri"]
            else:
                uri = new_database(name)
                process = start(uri, folder / name)
                stack.callback(process.stop)
                processes.append(process)
                url = process.url
            sides.append(Side(url, Connection(url), dump_of(uri)))
        for process in processes:
            process.wait_until_healthy()
        pair = Pair(dialect, sides[0], sides[1], ours_is_stock=ours_is_stock)
        stack.callback(pair.close)
        yield pair


def new_sqlite(folder: Path, template: Path) -> Callable[[str], str]:
    """Makes copies of the SQLite template in ``folder``."""

    def make(name: str) -> str:
        path = folder / f"{name}.db"
        shutil.copyfile(template, path)
        return f"sqlite:///{path}"

    return make
