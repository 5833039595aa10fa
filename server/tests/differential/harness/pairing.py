"""Makes a Pair: one database each, both servers on them (or on borrowed ones that already run)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from differential.harness.pair import Pair, Side
from differential.harness.rows import Dump, PostgresDump, SqliteDump
from differential.harness.wire import Connection
from support.databases import Databases, Dialect
from support.ours import TrackingServer
from support.processes import ServerProcess
from support.stock import StockServer


def dump_of(uri: str) -> Dump:
    """A view from outside on the database at ``uri``."""
    if uri.startswith("sqlite:///"):
        return SqliteDump(Path(uri.removeprefix("sqlite:///")))
    return PostgresDump(uri)


def stock_server(folder: Path, uri: str) -> ServerProcess:
    """Stock MLflow on the database at ``uri``, not started yet."""
    return StockServer(folder, backend_store_uri=uri, artifacts_destination=str(folder / "artifacts"))


def our_server(folder: Path, uri: str) -> ServerProcess:
    """The tracking server on the database at ``uri``, not started yet."""
    return TrackingServer(folder, database_uri=uri, artifacts_destination=str(folder / "artifacts"))


@contextmanager
def make_pair(dialect: Dialect, folder: Path, databases: Databases) -> Iterator[Pair]:
    """Both servers on fresh databases; they end with the context."""
    ours_is_stock = os.environ.get("DIFFERENTIAL_OURS") == "stock"
    with ExitStack() as stack:
        sides: list[Side] = []
        started: list[ServerProcess] = []
        for name in ("stock", "ours"):
            borrowed = _running(f"{name}-{dialect}") if name == "stock" or ours_is_stock else None
            if borrowed is not None:
                url, uri, home = borrowed["url"], borrowed["uri"], borrowed["folder"]
            else:
                uri = databases.create(dialect)
                make = stock_server if name == "stock" or ours_is_stock else our_server
                server = make(folder / name, uri)
                server.launch()
                stack.callback(server.stop)
                started.append(server)
                url, home = server.url, str(server.folder)
            sides.append(Side(url, Connection(url), dump_of(uri), home))
        for server in started:
            server.wait_until_ready()
        pair = Pair(dialect, sides[0], sides[1], ours_is_stock=ours_is_stock)
        stack.callback(pair.close)
        yield pair


def _running(name: str) -> dict[str, str] | None:
    """URL and database URI of the server ``name`` in the file that DIFFERENTIAL_RUNNING names, if it is there."""
    place = os.environ.get("DIFFERENTIAL_RUNNING")
    if place is None:
        return None
    found: dict[str, dict[str, str]] = json.loads(Path(place).read_text())
    return found.get(name)
