"""Scheduled collections: when they are due, that one server of several collects, and what metrics tell."""

from __future__ import annotations

import pickle
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from maintenance.gc import everything
from support.fixtures import Starter
from support.ours import TrackingServer
from support.processes import plain_environment
from tracking_server import gc_metrics
from tracking_server.config import Config
from tracking_server.cron import Schedule
from tracking_server.settings_loader import ConfigError, load

START = datetime(2026, 2, 27, 22, 58, 30, tzinfo=UTC)  # a Friday


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* * * * *", "2026-02-27 22:59"),
        ("58 22 * * *", "2026-02-28 22:58"),
        ("*/20 * * * *", "2026-02-27 23:00"),
        ("0 3 * * 0", "2026-03-01 03:00"),
        ("0 3 * * 7", "2026-03-01 03:00"),
        ("15 1-3,22 * * 1-5", "2026-03-02 01:15"),
        ("0 0 29 2 *", "2028-02-29 00:00"),
        # cron's rule: where both days are given, one is enough.
        ("0 0 13 * 1", "2026-03-02 00:00"),
        ("5/30 4 31 * *", "2026-03-31 04:05"),
    ],
)
def test_the_next_due_time(text: str, expected: str) -> None:
    assert Schedule.parse(text).after(START).isoformat(" ", "minutes").removesuffix("+00:00") == expected


@pytest.mark.parametrize(
    "text",
    ["", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 31 2 *", "5-1 * * * *", "*/0 * * * *", "@daily"],
)
def test_refuses_what_is_no_schedule(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        Schedule.parse(text)


def test_a_schedule_needs_an_age() -> None:
    with pytest.raises(ConfigError, match=r"gc\.older_than: is missing"):
        load(environment={"TRACKING_SERVER_GC_SCHEDULE": "0 3 * * 0"})
    with pytest.raises(ConfigError, match="five fields"):
        load(environment={"TRACKING_SERVER_GC_SCHEDULE": "daily"})


def test_one_of_several_servers_collects(database: str, artifacts: Path, tmp_path: Path) -> None:
    everything.fill(database, everything.worlds(str(artifacts)))
    folders = [tmp_path / "one", tmp_path / "other"]
    servers = []
    for folder in folders:
        folder.mkdir()
        values = {"DATABASE_URI": database, "GC_OLDER_THAN": "30d", "STOCK_SOCKET_DIRECTORY": str(folder)}
        config: Config = load(environment={f"TRACKING_SERVER_{name}": value for name, value in values.items()}).config
        command = [sys.executable, "-m", "tracking_server.maintenance.gc.scheduled"]
        server = subprocess.Popen(command, env=plain_environment(), stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        assert server.stdin is not None
        server.stdin.write(pickle.dumps(config))
        server.stdin.flush()
        servers.append(server)
    assert sorted(server.wait(60) for server in servers) == [0, 14]
    for server in servers:
        assert server.stdin is not None
        server.stdin.close()
    last = [found for folder in folders if (found := gc_metrics.read(folder)) is not None]
    assert len(last) == 1
    assert (last[0].succeeded, last[0].deleted["experiments"]) == (True, 2)
    text = "".join(gc_metrics.exposition(folder) for folder in folders)
    assert 'tracking_server_gc_last_run_deleted{kind="experiments"} 2\n' in text


@pytest.mark.slow
def test_a_server_collects_when_it_is_due(
    start: Starter, sqlite_database: str, artifacts: Path, tmp_path: Path
) -> None:
    everything.fill(sqlite_database, everything.worlds(str(artifacts)))
    server = start(
        TrackingServer(
            tmp_path / "server",
            database_uri=sqlite_database,
            artifacts_destination=str(artifacts),
            settings={"gc": {"schedule": "* * * * *", "older_than": "30d"}},
        )
    )
    deadline = time.monotonic() + 120
    while "garbage was collected: deleted" not in server.logs():
        assert time.monotonic() < deadline, server.logs()
        time.sleep(0.5)
    assert "tracking_server_gc_last_run_success 1" in requests.get(f"{server.url}/-/metrics", timeout=10).text
    assert {row[0] for row in everything.dump(sqlite_database)["experiments"]} == {0, 1, 3}
    assert server.stop() == 0
