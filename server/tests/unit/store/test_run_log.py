"""Logging to runs: shared transactions, errors that stay with their request, and statements per request."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import pytest

from support.databases import Databases
from tracking_server.config import Config
from tracking_server.errors import MlflowError
from tracking_server.search.runs import runs_page
from tracking_server.settings_database import DatabaseUri
from tracking_server.store import experiments, run_reads, runs
from tracking_server.store.connect import open_database
from tracking_server.store.database import Database, DataViolation
from tracking_server.store.group_commit import GroupCommit
from tracking_server.store.new_runs import NewRun, NewRuns
from tracking_server.store.run_log import LogEntry, RunLog, metric_row
from unit.store.conftest import make_experiment, values

_numbers = itertools.count(1)


async def make_runs(database: Database, count: int) -> list[str]:
    experiment = await make_experiment(database)
    run_ids = [f"{next(_numbers):032x}" for _ in range(count)]
    new_runs = NewRuns(database)
    for run_id in run_ids:
        await new_runs.create(NewRun(run_id, experiment, "name", "user", 1, [], str))
    return run_ids


async def statements(database: Database, request: Callable[[], Awaitable[object]]) -> Counter[str]:
    before = database.statements
    await request()
    return database.statements - before


def metric(run_id: str, key: str, value: float, step: int) -> LogEntry:
    return LogEntry(run_id, (metric_row(run_id, key, value, 1000 + step, step),))


async def test_requests_that_wait_share_statements(opened: Database) -> None:
    (run_id,) = await make_runs(opened, 1)
    log = RunLog(opened)
    before = opened.statements
    await asyncio.gather(*(log.log(metric(run_id, "loss", step / 2, step)) for step in range(200)))
    used = opened.statements - before
    assert used.total() <= 15, "the first request goes alone, all others in one or two groups"
    assert await values(opened, "SELECT count(*), max(step) FROM metrics") == [(200, 199)]
    assert await values(opened, "SELECT value, step FROM latest_metrics") == [(99.5, 199)]


async def test_each_request_gets_its_own_error(opened: Database) -> None:
    good, deleted = await make_runs(opened, 2)
    await opened.write(lambda connection: runs.delete(connection, deleted))
    log = RunLog(opened)
    await log.log(LogEntry(good, params=(("p", "1"),)))
    outcomes = await asyncio.gather(
        log.log(metric(good, "a", 1.0, 1)),
        log.log(metric(deleted, "a", 1.0, 1)),
        log.log(metric("0" * 32, "a", 1.0, 1)),
        log.log(LogEntry(good, params=(("p", "2"),))),
        log.log(LogEntry(good, params=(("q", "1"),), tags=(("t", "1"),))),
        return_exceptions=True,
    )
    assert [outcome.code.value if isinstance(outcome, MlflowError) else outcome for outcome in outcomes] == [
        None,
        "INVALID_PARAMETER_VALUE",
        "RESOURCE_DOES_NOT_EXIST",
        "INVALID_PARAMETER_VALUE",
        None,
    ]
    assert await values(opened, "SELECT key, value FROM params ORDER BY key") == [("p", "1"), ("q", "1")]
    assert await values(opened, "SELECT key, run_uuid FROM metrics") == [("a", good)]


async def test_a_value_that_does_not_fit_fails_alone(opened: Database) -> None:
    (run_id,) = await make_runs(opened, 1)
    log = RunLog(opened)
    # A step beyond 64 bits is refused by both drivers; the API never lets one through.
    outcomes = await asyncio.gather(
        log.log(metric(run_id, "first", 1.0, 1)),
        *(log.log(metric(run_id, "loss", 1.0, step)) for step in (1, 2, 2**63, 3)),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [type(None)] * 3 + [DataViolation, type(None)]
    assert await values(opened, "SELECT step FROM metrics WHERE key = 'loss' ORDER BY step") == [
        (1,),
        (2,),
        (3,),
    ]


async def test_two_processes_that_store_one_parameter_agree_on_its_value(opened: Database) -> None:
    (run_id,) = await make_runs(opened, 1)
    logs = [RunLog(opened), RunLog(opened)]
    for number in range(20):
        outcomes = await asyncio.gather(
            *(log.log(LogEntry(run_id, params=((f"p{number}", str(side)),))) for side, log in enumerate(logs)),
            return_exceptions=True,
        )
        assert sum(outcome is None for outcome in outcomes) == 1, "one stored its value, the other was told"
        stored = await values(opened, "SELECT value FROM params WHERE key = $1", f"p{number}")
        assert stored == [(str(outcomes.index(None)),)]


async def test_the_latest_metric_is_the_one_stock_would_keep(opened: Database) -> None:
    (run_id,) = await make_runs(opened, 1)
    log = RunLog(opened)
    rows = [
        metric_row(run_id, "m", 1.0, 5, 2),
        metric_row(run_id, "m", float("nan"), 5, 2),
        metric_row(run_id, "m", float("-inf"), 9, 1),
        metric_row(run_id, "m", 1.0, 5, 2),
    ]
    await log.log(LogEntry(run_id, rows))
    await log.log(LogEntry(run_id, rows))
    latest = await values(opened, "SELECT value, timestamp, step, is_nan FROM latest_metrics")
    assert [(value, time, step, bool(is_nan)) for value, time, step, is_nan in latest] == [(1.0, 5, 2, False)]
    assert await values(opened, "SELECT count(*) FROM metrics") == [(3,)]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_after_a_repeated_metric_repeats_are_expected(opened: Database) -> None:
    (run_id,) = await make_runs(opened, 1)
    log = RunLog(opened)
    used = [
        dict(await statements(opened, functools.partial(log.log, metric(run_id, "m", 1.0, number))))
        for number in (1, 2, 2, 3)
    ]
    once, again = "log_new_metrics", "log_metrics"
    assert used == [{once: 1}, {once: 1}, {once: 1, again: 1}, {again: 1}]
    assert await values(opened, "SELECT count(*) FROM metrics") == [(3,)]


async def test_statements_per_request(opened: Database) -> None:
    run_ids = await make_runs(opened, 30)
    log = RunLog(opened)
    for run_id in run_ids:
        await log.log(LogEntry(run_id, [metric_row(run_id, f"m{i}", 0.5, 1, 1) for i in range(30)], [("p", "1")]))
    is_postgres = opened.dialect == "postgresql"
    plan = runs_page(opened.dialect, [str(1)], 3, 20, "metrics.m1 > 0", [], None)

    alone = await statements(opened, lambda: log.log(metric(run_ids[0], "n", 1.0, 2)))
    assert alone.total() == (1 if is_postgres else 3), alone
    batch = LogEntry(run_ids[0], [metric_row(run_ids[0], f"k{i}", 0.5, 1, 1) for i in range(1000)])
    whole_batch = await statements(opened, lambda: log.log(batch))
    assert len(whole_batch) == (1 if is_postgres else 3), whole_batch
    params = LogEntry(run_ids[0], params=[(f"q{i}", "1") for i in range(100)])
    new_params = await statements(opened, lambda: log.log(params))
    assert len(new_params) == (1 if is_postgres else 3), new_params
    again = await statements(opened, lambda: log.log(params))
    assert len(again) == 3 if is_postgres else 2, again
    assert (await statements(opened, lambda: run_reads.get(opened, run_ids[0]))).total() == (1 if is_postgres else 3)
    assert (await statements(opened, lambda: run_reads.search(opened, plan))).total() == (1 if is_postgres else 2)


async def test_parameters_that_are_there_are_left_or_refused(opened: Database) -> None:
    [run_id, other] = await make_runs(opened, 2)
    log = RunLog(opened)

    async def write(run: str, *params: tuple[str, str]) -> str | None:
        try:
            await log.log(LogEntry(run, params=params))
        except MlflowError as error:
            return str(error.code)
        return None

    assert await write(run_id, ("a", "1"), ("b", "1")) is None
    together = await asyncio.gather(
        write(run_id, ("a", "1"), ("c", "1")),
        write(run_id, ("b", "2"), ("d", "1")),
        write(other, ("a", "9")),
        write("f" * 32, ("a", "1")),
    )
    assert list(together) == [None, "INVALID_PARAMETER_VALUE", None, "RESOURCE_DOES_NOT_EXIST"]
    stored = await values(opened, "SELECT run_uuid, key, value FROM params ORDER BY 1, 2")
    expected = [(run_id, "a", "1"), (run_id, "b", "1"), (run_id, "c", "1"), (other, "a", "9")]
    assert stored == sorted(expected)


async def test_a_pooler_in_transaction_mode_is_no_hindrance(databases: Databases) -> None:
    uri = databases.create("postgresql")
    settings = dataclasses.replace(Config().database, uri=DatabaseUri.parse(uri), transaction_pooling=True)
    database = await open_database(settings)
    [run_id] = await make_runs(database, 1)
    log = RunLog(database)
    await log.log(metric(run_id, "m", 1.0, 1))
    await log.log(LogEntry(run_id, params=[("p", "1")]))
    assert await values(database, "SELECT (SELECT count(*) FROM metrics), (SELECT count(*) FROM params)") == [(1, 1)]
    await database.close()
    databases.drop(uri)


async def test_the_default_experiment_is_made_once(opened: Database) -> None:
    for location in ("root/0", "elsewhere/0"):
        await experiments.ensure_default(opened, location)
    found = await values(opened, "SELECT experiment_id, name, artifact_location, lifecycle_stage FROM experiments")
    assert found == [(0, "Default", "root/0", "active")]


async def test_what_is_accepted_is_answered_before_the_end() -> None:
    written: list[int] = []

    async def write(entries: Sequence[int]) -> list[None]:
        await asyncio.sleep(0.01)
        written.extend(entries)
        return [None] * len(entries)

    commits: GroupCommit[int, None] = GroupCommit(write, lambda entry: 1, str, 3)
    waiting = [asyncio.create_task(commits.submit(number)) for number in range(10)]
    await asyncio.sleep(0)
    await commits.close()
    await asyncio.gather(*waiting)
    assert written == list(range(10))
    with pytest.raises(MlflowError):
        await commits.submit(11)


async def test_a_crowd_is_written_by_two_each_owners_entries_by_one() -> None:
    groups: list[list[str]] = []
    go_on = asyncio.Event()

    async def write(entries: Sequence[str]) -> list[None]:
        groups.append(list(entries))
        await go_on.wait()
        return [None] * len(entries)

    commits: GroupCommit[str, None] = GroupCommit(write, lambda entry: 1, lambda entry: entry[0], 100, crowd=2)
    waiting = []
    for entry in ("a1", "a2", "b1", "c1", "c2", "a3", "d1"):
        waiting.append(asyncio.create_task(commits.submit(entry)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert groups == [["a1"], ["b1", "c1"]]
    go_on.set()
    await asyncio.gather(*waiting)
    assert sorted(entry for group in groups for entry in group) == ["a1", "a2", "a3", "b1", "c1", "c2", "d1"]
    in_order = [entry for group in groups for entry in group]
    assert [entry for entry in in_order if entry[0] == "a"] == ["a1", "a2", "a3"]
