"""Who is measured: the servers, and the limits beside them. Each has one verb, ``run``."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from operator import sub
from pathlib import Path
from typing import Literal, Protocol

import msgspec
import psycopg

from bench import driver, load, sdk, usage
from bench.answers import Answer, ask
from bench.lua import FIRST_NUMBER, Uploads
from bench.results import Round
from bench.scenarios import ARTIFACT_SIZE, Part, Scenario, Stored
from support.processes import LOCALHOST, ServerProcess, http_status, plain_environment
from support.s3 import S3Server

# A slow server's rounds are as long as it takes to give each client so many answers, but no longer than so many times.
_ANSWERS = 4
_LONGEST = 6
_DRAINING_SECONDS = 30

_BENCH = Path(__file__).resolve().parent.parent


class Contestant(Protocol):
    """``name`` is one of results.py's. ``rounds`` is how many rounds are worth their time at most."""

    name: str
    rounds: int

    def takes_part(self, scenario: Scenario, connections: int) -> bool: ...

    def prepare(self, scenario: Scenario, connections: int, seconds: int) -> None:
        """Called once before the first round of a scenario at a number of connections, with the rounds' length."""

    def run(self, scenario: Scenario, connections: int, seconds: int) -> list[Round]:
        """One round for each part of the scenario."""


class Database:
    """A contestant's own copy of the database. ``number`` is the last step that was written."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.number = FIRST_NUMBER

    def tidy(self, scenario: Scenario) -> None:
        """Undoes what an earlier round of the scenario left."""
        if scenario.clean:
            self._run(*scenario.clean, "VACUUM (ANALYZE) params", "VACUUM (ANALYZE) tags", "VACUUM (ANALYZE) runs")

    def vacuum(self, scenario: Scenario) -> None:
        """What autovacuum would do in time, so that it does not do it in a round."""
        if scenario.kind in ("write", "mixed"):
            self._run("VACUUM (ANALYZE) metrics", "VACUUM (ANALYZE) latest_metrics")

    def is_quiet(self) -> bool:
        """Whether no client's connection is at work or in a transaction."""
        with psycopg.connect(self.uri) as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'"
                " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
            ).fetchone()
        return row == (0,)

    def _run(self, *statements: str) -> None:
        with psycopg.connect(self.uri, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def stored_rows(self, scenario: Scenario, number: int) -> list[int]:
        """For each part the rows that its requests after ``number`` made, by its query; 0 where it has none."""
        return [self._stored_rows(part, number) for part in scenario.parts]

    def _stored_rows(self, part: Part, number: int) -> int:
        if part.stored is None:
            return 0
        values = {"number": number, "runs": part.run_ids()}
        used = {name: values[name] for name in values if f"%({name})s" in part.stored.query}
        with psycopg.connect(self.uri) as connection:
            row = connection.execute(part.stored.query.encode(), used or None).fetchone()
        assert row is not None
        return int(row[0])


class ServerSide:
    """A server with its copy of the database, under wrk."""

    def __init__(
        self, name: str, server: ServerProcess, database: Database, rounds: int = 1000, most_connections: int = 1000
    ) -> None:
        self.name = name
        self.rounds = rounds
        self.server = server
        self.database = database
        self._rounds = rounds
        self._most_connections = most_connections
        self._least_seconds = 0

    def takes_part(self, scenario: Scenario, connections: int) -> bool:
        return connections <= self._most_connections

    def prepare(self, scenario: Scenario, connections: int, seconds: int) -> None:
        """Load that is not measured, so that no round is the first of its kind.

        Who gives few answers a second gets longer rounds, so that clients see some answers each: in a short one a
        server that works on all requests at once would have finished none.
        """
        self.database.vacuum(scenario)
        self.rounds = self._rounds
        self._least_seconds = 0
        clients = sum(part.connections or connections for part in scenario.parts)
        if _good(self.run(scenario, connections, 1)) >= clients:
            return
        rate = _good(self.run(scenario, connections, 2 * seconds)) / (2 * seconds)
        longest = _LONGEST * seconds
        self._least_seconds = min(longest, round(_ANSWERS * clients / rate)) if rate else longest

    def sample(self, scenario: Scenario) -> list[Answer]:
        """The answer to the first request of each part."""
        return [ask(self.server.url, *part.requests.sample()) for part in scenario.parts]

    def run(self, scenario: Scenario, connections: int, seconds: int) -> list[Round]:
        self.database.tidy(scenario)
        number = self.database.number
        before = self.database.stored_rows(scenario, number)
        programs = [part.program(number, connections) for part in scenario.parts]
        cpu = usage.cpu_seconds(self.server)
        loads = load.run(self.server.url, programs, max(seconds, self._least_seconds))
        cpu = usage.cpu_seconds(self.server) - cpu
        got_done = self._drain()
        if not got_done:
            # A minute to start it for each round: overrun, it is measured once.
            self.rounds = 1
        self.database.number += max(one.requests for one in loads) + 2 * connections
        after = self.database.stored_rows(scenario, number)
        good = sum(one.requests - one.bad_status for one in loads)
        return [
            _round(one, part.stored, 1000 * cpu / good if good else None, stored, got_done)
            for one, part, stored in zip(loads, scenario.parts, map(sub, after, before), strict=True)
        ]

    def _drain(self) -> bool:
        """Waits for requests that were on the way when wrk ended. Who does not get done with them is started anew.

        Returns whether it got done. Overrun, stock's threads wait for each other's database connections, 30 s long,
        again and again.
        """
        deadline = time.monotonic() + _DRAINING_SECONDS
        while not (usage.is_idle(self.server) and self.database.is_quiet()):
            if time.monotonic() > deadline:
                self.server.kill()
                self.server.start()
                usage.wait_until_idle(self.server)
                return False
        return True


def _good(rounds: Sequence[Round]) -> int:
    return sum(one.good for one in rounds)


def _round(
    one: load.Load, stored: Stored | None, cpu_ms: float | None, stored_rows: int, got_done: bool = True
) -> Round:
    good = one.requests - one.bad_status
    acknowledged, problems = 0, []
    if stored is not None:
        acknowledged = min(good * stored.per_answer, stored.at_most or sys.maxsize)
        if stored_rows < acknowledged:
            problems.append(f"{acknowledged} rows acknowledged, {stored_rows} stored")
    if one.bad_status:
        problems.append(f"{one.bad_status} of {one.requests} answers not 2xx")
    if one.socket_errors:
        problems.append(f"{one.socket_errors} connections lost or answers later than 30 s")
    if not got_done:
        problems.append(f"still at work {_DRAINING_SECONDS} s after the round, and started anew")
    if not good:
        problems.append("no good answer")
    return Round(
        requests=one.requests,
        bad_status=one.bad_status,
        socket_errors=one.socket_errors,
        seconds=one.seconds,
        p50_ms=one.p50_ms,
        p99_ms=one.p99_ms,
        server_cpu_ms=cpu_ms,
        generator_cores=one.cpu_seconds / one.seconds,
        acknowledged_rows=acknowledged,
        stored_rows=stored_rows,
        problem="; ".join(problems),
    )


class Noop:
    """A server that does nothing but HTTP, with answers as large as a real server's."""

    rounds = 1

    def __init__(self, name: str, folder: Path, model: ServerSide) -> None:
        self.name = name
        self.server = _NoopServer(folder)
        self._model = model

    def takes_part(self, scenario: Scenario, connections: int) -> bool:
        return scenario.driver is None and scenario.kind in ("read", "write")

    def prepare(self, scenario: Scenario, connections: int, seconds: int) -> None:
        size = self._model.sample(scenario)[0].wire_size
        ask(self.server.url, "GET", f"/-/size/{size}", {}, b"")

    def run(self, scenario: Scenario, connections: int, seconds: int) -> list[Round]:
        cpu = usage.cpu_seconds(self.server)
        [one] = load.run(self.server.url, [scenario.parts[0].program(FIRST_NUMBER, connections)], seconds)
        cpu = usage.cpu_seconds(self.server) - cpu
        return [_round(one, None, 1000 * cpu / max(one.requests, 1), 0)]


class _NoopServer(ServerProcess):
    name = "no-op"

    def command(self) -> Sequence[str | Path]:
        return [sys.executable, "-m", "bench.noop", str(self.port)]

    def environment(self) -> dict[str, str]:
        return plain_environment({"PYTHONPATH": f"{_BENCH}:{_BENCH / 'server' / 'tests'}"})

    def is_ready(self) -> bool:
        return http_status(self.port, "/", LOCALHOST) == 200


class DriverAlone:
    """The rows of the requests by asyncpg alone: each request's by a statement, or those of many together."""

    def __init__(self, name: str, database: Database, *, coalescing: bool, rounds: int = 1000) -> None:
        self.name = name
        self.rounds = rounds
        self._database = database
        self._coalescing = coalescing
        self._together = 1

    def takes_part(self, scenario: Scenario, connections: int) -> bool:
        return scenario.driver is not None

    def prepare(self, scenario: Scenario, connections: int, seconds: int) -> None:
        """Finds how many connections do best, when rows of all clients may be put together."""
        self._database.vacuum(scenario)
        if not self._coalescing:
            self._together = 1
            return
        rates = {}
        for together in sorted({connections, max(1, connections // 2), max(1, connections // 4)}):
            self._together = together
            [one] = self.run(scenario, connections, 1)
            rates[one.rate] = together
        self._together = rates[max(rates)]

    def run(self, scenario: Scenario, connections: int, seconds: int) -> list[Round]:
        assert scenario.driver is not None
        self._database.tidy(scenario)
        task = driver.Task(
            uri=self._database.uri,
            table=scenario.driver.table,
            rows=scenario.driver.rows,
            connections=connections,
            together=self._together,
            seconds=seconds,
            number=self._database.number,
            runs=scenario.parts[0].run_ids(connections),
        )
        found = msgspec.json.decode(_run_alone("bench.driver", task), type=driver.Outcome)
        self._database.number = found.next_number
        return [
            Round(
                requests=found.requests,
                bad_status=0,
                socket_errors=0,
                seconds=found.seconds,
                p50_ms=found.p50_ms,
                p99_ms=found.p99_ms,
                generator_cores=found.cpu_seconds / found.seconds,
            )
        ]


class SdkAlone:
    """The same objects copied by the S3 SDK itself, without a server of MLflow's between."""

    rounds = 1000

    def __init__(self, name: str, s3: S3Server) -> None:
        self.name = name
        self._s3 = s3
        s3.create_bucket("sdk")

    def takes_part(self, scenario: Scenario, connections: int) -> bool:
        return scenario.kind == "artifact"

    def prepare(self, scenario: Scenario, connections: int, seconds: int) -> None:
        self.run(scenario, connections, 1)

    def run(self, scenario: Scenario, connections: int, seconds: int) -> list[Round]:
        requests = scenario.parts[0].requests
        direction: Literal["up", "down"] = "up" if isinstance(requests, Uploads) else "down"
        found = self.copy(direction, ARTIFACT_SIZE, connections=connections, seconds=seconds)
        return [
            Round(
                requests=found.objects,
                bad_status=0,
                socket_errors=0,
                seconds=found.seconds,
                p50_ms=found.p50_ms,
                p99_ms=found.p99_ms,
                generator_cores=found.cpu_seconds / found.seconds,
            )
        ]

    def copy(
        self,
        direction: Literal["up", "down"],
        size: int,
        *,
        connections: int = 1,
        seconds: float = 0.0,
        file: str = "",
    ) -> sdk.Outcome:
        """Objects of ``size`` bytes, again and again for ``seconds``, or a ``file`` once."""
        task = sdk.Task(
            endpoint=self._s3.endpoint,
            region=self._s3.region,
            access_key=self._s3.access_key,
            secret_key=self._s3.secret_key,
            bucket="sdk",
            direction=direction,
            size=size,
            connections=connections,
            seconds=seconds,
            file=file,
        )
        return msgspec.json.decode(_run_alone("bench.sdk", task), type=sdk.Outcome)


def _run_alone(module: str, task: msgspec.Struct) -> bytes:
    """What a module of the benchmark prints that is run as a process of its own, with a task as its input."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        cwd=_BENCH,
        input=msgspec.json.encode(task),
        stdout=subprocess.PIPE,
        check=True,
    )
    return done.stdout
