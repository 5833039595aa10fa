"""What a deployment takes: the time until its first answer, and memory, alone on the machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench import load, usage
from bench.contestants import Database
from bench.deployment import Deployment
from bench.results import OURS, STOCK, STOCK_DEFAULT, Footprint, Results
from bench.scenarios import Scenario
from support.ours import Value
from support.processes import ServerProcess, http_status

# Answered from the database: an answer of /health would come before one can work.
_QUESTION = "/api/2.0/mlflow/experiments/get?experiment_id=1"
_SETTLING = 20


@dataclass(frozen=True, slots=True)
class _Shape:
    """A deployment by the name of its server in results.py."""

    title: str
    server: str
    workers: int
    starts: int
    settings: Mapping[str, Mapping[str, Value]] | None = None


_WITH_JOBS: Mapping[str, Mapping[str, Value]] = {"stock": {"jobs": "always"}}
_ALONE: Mapping[str, Mapping[str, Value]] = {"stock": {"enabled": False}}
_SHAPES = (
    _Shape("stock by default: 4 workers, jobs", STOCK_DEFAULT, 4, 1),
    _Shape("stock at its smallest: 1 worker, no jobs", STOCK, 1, 1),
    _Shape("ours by default: 1 worker, stock behind", OURS, 1, 3),
    _Shape("ours: 2 workers, stock behind", OURS, 2, 3),
    _Shape("ours: 1 worker, stock behind with its jobs", OURS, 1, 3, _WITH_JOBS),
    _Shape("ours: 1 worker, no stock behind", OURS, 1, 3, _ALONE),
)


def measure_footprints(
    deployed: Deployment, busy: Scenario, seconds: int, results: Results, say: Callable[[str], None]
) -> None:
    """Starts each deployment some times on an existing database; under ``busy`` for ``seconds`` it is loaded."""
    database = deployed.copy("footprint")
    for shape in _SHAPES:
        server = deployed.server(shape.server, database, workers=shape.workers, settings=shape.settings)
        try:
            found = _measure(shape, server, busy, seconds, database)
        finally:
            server.kill()
        results.footprints.append(found)
        starts = ", ".join(f"{start:.2f}" for start in found.start_seconds)
        say(f"{shape.title}: answers after {starts} s, {found.idle_mib:.0f} MiB, loaded {found.loaded_mib:.0f} MiB")
    deployed.drop(database)


def _measure(shape: _Shape, server: ServerProcess, busy: Scenario, seconds: int, database: Database) -> Footprint:
    starts = []
    for _ in range(shape.starts):
        server.stop()
        starts.append(_start(server))
    time.sleep(_SETTLING)
    usage.wait_until_idle(server)
    cpu = usage.cpu_seconds(server)
    time.sleep(5)
    idle_cores = (usage.cpu_seconds(server) - cpu) / 5
    processes = usage.memory_of_processes(server)
    loads = load.run(server.url, [part.program(database.number, 8) for part in busy.parts], seconds)
    database.number += max(one.requests for one in loads) + 1000
    return Footprint(
        deployment=shape.title,
        start_seconds=starts,
        idle_mib=sum(one.mib for one in processes),
        loaded_mib=usage.memory_mib(server),
        idle_cores=idle_cores,
        processes=[(one.command, one.mib) for one in processes],
    )


def _start(server: ServerProcess) -> float:
    """Seconds from the program's start to its first answer."""
    started = time.perf_counter()
    server.launch()
    while http_status(server.port, _QUESTION) != 200:
        if time.perf_counter() - started > server.start_timeout:
            raise RuntimeError(f"{server.name} gave no answer:\n{server.logs()[-4000:]}")
        time.sleep(0.01)
    return time.perf_counter() - started
