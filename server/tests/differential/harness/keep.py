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

from differential.harness.pairing import new_sqlite
from differential.harness.servers import Postgres, Process, sqlite_template, start_stock


def main(place: Path) -> None:
    """Starts the servers, writes ``place``, waits, ends them."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="differential-keep-")))
        postgres = Postgres()
        stack.callback(postgres.stop)
        postgres.start()
        sqlite = new_sqlite(folder, sqlite_template(folder))
        found: dict[str, dict[str, str]] = {}
        processes: list[Process] = []
        for dialect, create in (("sqlite", sqlite), ("postgresql", postgres.create)):
            for name in ("stock", "second"):
                uri = create(name)
                process = start_stock(uri, folder / f"{name}-{dialect}")
                stack.callback(process.stop)
                processes.append(process)
                found[f"{name}-{dialect}"] = {"url": process.url, "uri": uri}
        for process in processes:
            process.wait_until_healthy()
        place.write_text(json.dumps(found))
        stack.callback(place.unlink)
        ends = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, ends)
        signal.sigwait(ends)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
