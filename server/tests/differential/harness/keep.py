"""Keeps stock MLflow running between test runs, because its start is what a short test run spends its time on.

``python -m differential.harness.keep running.json`` (in server/tests) starts PostgreSQL and, for each database, two
stock servers, writes where they are, and waits for Ctrl-C. ``DIFFERENTIAL_RUNNING=running.json pytest …`` uses them.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from differential.harness.pairing import stock_server
from support.databases import Databases
from support.fixtures import DIALECTS
from support.postgres import PostgresServer
from support.processes import ServerProcess
from support.requirements import requires


def main(place: Path) -> None:
    """Starts the servers, writes ``place``, waits, ends them."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="differential-keep-")))
        postgres = PostgresServer(requires("postgresql"))
        stack.callback(postgres.remove)
        postgres.start()
        databases = Databases(folder, lambda: postgres)
        found: dict[str, dict[str, str]] = {}
        servers: list[ServerProcess] = []
        for dialect in DIALECTS:
            for name in ("stock", "ours"):
                uri = databases.create(dialect)
                server = stock_server(folder / f"{name}-{dialect}", uri)
                server.launch()
                stack.callback(server.stop)
                servers.append(server)
                found[f"{name}-{dialect}"] = {"url": server.url, "uri": uri, "folder": str(server.folder)}
        for server in servers:
            server.wait_until_ready()
        place.write_text(json.dumps(found))
        stack.callback(place.unlink)
        ends = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, ends)
        signal.sigwait(ends)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
