"""Creating runs: shared transactions, errors that stay with their request, and nothing made twice."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections.abc import Sequence

import pytest

from support.databases import Databases
from tracking_server.config import Config
from tracking_server.errors import ErrorCode, ForwardRequest, MlflowError
from tracking_server.settings_database import DatabaseUri
from tracking_server.store import experiments
from tracking_server.store.connect import open_database
from tracking_server.store.database import Connection, Database, Dialect, IntegrityViolation, StoreError
from tracking_server.store.new_runs import NewRun, NewRuns
from unit.store.conftest import make_experiment, values

_numbers = itertools.count(1)
_TAGS = [("mlflow.runName", "name"), ("a", "1")]


def new_run(experiment: int, tags: Sequence[tuple[str, str]] = _TAGS) -> NewRun:
    run_id = f"{next(_numbers):032x}"
    return NewRun(run_id, experiment, "name", "user", 17, tags, lambda root: f"{root}/{run_id}")


async def create_all(database: Database, runs: Sequence[NewRun]) -> list[str | BaseException]:
    """Makes runs that are asked for at once, as one group."""
    new_runs = NewRuns(database)
    return await asyncio.gather(*map(new_runs.create, runs), return_exceptions=True)


async def test_runs_that_wait_share_statements(opened: Database) -> None:
    experiment, other = await make_experiment(opened), await make_experiment(opened)
    runs = [new_run(experiment if number % 2 else other) for number in range(50)]
    before = opened.statements
    answers = await create_all(opened, runs)
    used = opened.statements - before
    assert used.total() == (2 if opened.dialect is Dialect.POSTGRESQL else 3)
    assert answers == [f"root/{run.experiment_id}/{run.run_id}" for run in runs]
    stored = (
        "SELECT run_uuid, artifact_uri, experiment_id, name, user_id, start_time, status, lifecycle_stage FROM runs"
    )
    wanted = [
        (run.run_id, answer, run.experiment_id, "name", "user", 17, "RUNNING", "active")
        for run, answer in zip(runs, answers, strict=True)
    ]
    assert sorted(await values(opened, stored)) == sorted(wanted)
    tags = await values(opened, "SELECT run_uuid, key, value FROM tags")
    assert sorted(tags) == sorted((run.run_id, *tag) for run in runs for tag in _TAGS)


async def test_each_run_gets_its_own_error(opened: Database) -> None:
    experiment, deleted = await make_experiment(opened), await make_experiment(opened)
    await opened.write(lambda connection: experiments.delete(connection, deleted))

    def unusual(root: str) -> str:
        raise ForwardRequest("artifact-location")

    good = [new_run(experiment), new_run(experiment, []), new_run(experiment)]
    runs = [
        good[0],
        new_run(9999),
        new_run(deleted),
        dataclasses.replace(new_run(experiment), artifact_uri=unusual),
        good[1],
        new_run(experiment, [("a", "1"), ("a", "2")]),
        new_run(2**40),
        good[2],
    ]
    answers = await create_all(opened, runs)
    assert [answers[0], answers[4], answers[7]] == [f"root/{experiment}/{run.run_id}" for run in good]
    missing, inactive, forwarded, twice, no_such_id = answers[1], answers[2], answers[3], answers[5], answers[6]
    assert isinstance(missing, MlflowError)
    assert missing.code is ErrorCode.RESOURCE_DOES_NOT_EXIST
    assert isinstance(inactive, MlflowError)
    assert inactive.code is ErrorCode.INVALID_PARAMETER_VALUE
    assert isinstance(forwarded, ForwardRequest)
    assert isinstance(twice, IntegrityViolation)
    # PostgreSQL refuses to look for such an id, in stock too.
    assert isinstance(no_such_id, StoreError if opened.dialect is Dialect.POSTGRESQL else MlflowError)
    assert sorted(await values(opened, "SELECT run_uuid FROM runs")) == sorted((run.run_id,) for run in good)
    assert await values(opened, "SELECT count(*) FROM tags") == [(4,)]


async def test_runs_without_tags_are_made(opened: Database) -> None:
    experiment = await make_experiment(opened)
    await create_all(opened, [new_run(experiment, []), new_run(experiment, []), new_run(experiment, [])])
    assert await values(opened, "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM tags)") == [(3, 0)]


async def test_a_group_whose_statement_is_run_again_after_a_lost_connection_is_made_once(databases: Databases) -> None:
    uri = databases.create("postgresql")
    database = await open_database(dataclasses.replace(Config().database, uri=DatabaseUri.parse(uri)))
    experiment = await make_experiment(database)
    runs = [new_run(experiment) for _ in range(3)]
    first = await create_all(database, runs)
    assert await create_all(database, runs) == first
    assert await values(database, "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM tags)") == [(3, 6)]
    await database.close()
    databases.drop(uri)


async def test_an_experiment_that_is_being_deleted_holds_no_run_up(databases: Databases) -> None:
    uri = databases.create("postgresql")
    database = await open_database(dataclasses.replace(Config().database, uri=DatabaseUri.parse(uri)))
    experiment, other = await make_experiment(database), await make_experiment(database)
    deleted, go_on = asyncio.Event(), asyncio.Event()

    async def delete(connection: Connection) -> None:
        await experiments.delete(connection, experiment)
        deleted.set()
        await go_on.wait()

    deleting = asyncio.create_task(database.write(delete))
    await deleted.wait()
    runs = [new_run(experiment), new_run(other)]
    answers = await asyncio.wait_for(create_all(database, runs), 20)
    assert answers == [f"root/{run.experiment_id}/{run.run_id}" for run in runs]
    go_on.set()
    await deleting
    await database.close()
    databases.drop(uri)


async def test_what_is_accepted_is_made_before_the_end(opened: Database) -> None:
    experiment = await make_experiment(opened)
    new_runs = NewRuns(opened)
    waiting = [asyncio.create_task(new_runs.create(new_run(experiment))) for _ in range(5)]
    await asyncio.sleep(0)
    await new_runs.close()
    assert all(task.done() for task in waiting)
    assert await values(opened, "SELECT count(*) FROM runs") == [(5,)]
    with pytest.raises(MlflowError):
        await new_runs.create(new_run(experiment))
