"""New runs, those of many requests in one transaction (``create_run`` in mlflow/store/tracking/sqlalchemy_store.py)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tracking_server.errors import ForwardRequest, MlflowError
from tracking_server.store import experiments
from tracking_server.store.database import Connection, Database, Dialect, IntegrityViolation, Row, columns_of
from tracking_server.store.group_commit import GroupCommit
from tracking_server.store.queries import QueryFile

_QUERIES = QueryFile("new_runs")
_RUN_KEY = "run_pk"
# A few runs, with their tags, keep a second core of PostgreSQL busy.
_CROWD = 10


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to be made; ``start_time`` in milliseconds, ``tags`` with the run's name among them.

    ``artifact_uri`` makes its location from the experiment's; MlflowError or ForwardRequest of its refuse the run.
    """

    run_id: str
    experiment_id: int
    name: str
    user_id: str
    start_time: int
    tags: Sequence[tuple[str, str]]
    artifact_uri: Callable[[str], str]

    def rows(self) -> int:
        """The number of rows it writes."""
        return len(self.tags) + 1


_Located = tuple[NewRun, str]


class NewRuns:
    """The one way to make runs in this process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        crowd = _CROWD if database.dialect is Dialect.POSTGRESQL else None
        # One transaction for all that wait: twice as many runs of 64 clients (bench: create run).
        self._commits: GroupCommit[NewRun, str] = GroupCommit(
            self._write, NewRun.rows, lambda run: run.run_id, crowd=crowd
        )

    async def create(self, run: NewRun) -> str:
        """Stores a run in its experiment and returns its artifact location.

        Raises MlflowError where the experiment is missing or deleted, StoreError for a value that does not fit.
        """
        return await self._commits.submit(run)

    async def close(self) -> None:
        """Returns when everything accepted is answered."""
        await self._commits.close()

    async def _write(self, runs: Sequence[NewRun]) -> Sequence[str | Exception]:
        if self._database.dialect is Dialect.SQLITE:
            return await self._database.write(lambda connection: _write_rows(connection, runs))
        # Stock does not lock the experiment either, so that two statements do.
        found = await self._database.fetch(_QUERIES["experiments_of_new_runs"], _experiment_ids(runs))
        locations = _locations(runs, found)
        located = _located(runs, locations)
        if not located:
            return locations
        columns = columns_of(map(_columns, located))
        tags = [(run.run_id, *tag) for run, _ in located for tag in run.tags]
        tag_columns = columns_of(tags) or [[], [], []]
        try:
            await self._database.write_statement(_QUERIES["insert_tagged_runs"], *columns, *tag_columns)
        except IntegrityViolation as error:
            # The ids are new: they are there only if the connection was lost after the commit, and the statement run
            # again.
            if error.constraint != _RUN_KEY:
                raise
        return locations


async def _write_rows(connection: Connection, runs: Sequence[NewRun]) -> Sequence[str | Exception]:
    # The driver would refuse an integer of more than 64 bits in a list; here it is an experiment that is not there.
    ids = json.dumps(_experiment_ids(runs))
    locations = _locations(runs, await connection.fetch(_QUERIES["experiments_of_new_runs"], ids))
    located = _located(runs, locations)
    await connection.execute_many(_QUERIES["insert_run"], map(_columns, located))
    tags = [(run.run_id, *tag) for run, _ in located for tag in run.tags]
    await connection.execute_many(_QUERIES["insert_tag"], tags)
    return locations


def _experiment_ids(runs: Sequence[NewRun]) -> list[int]:
    return sorted({run.experiment_id for run in runs})


def _locations(runs: Sequence[NewRun], found: Sequence[Row]) -> list[str | Exception]:
    by_id = {row["experiment_id"]: row for row in found}
    return [_location(run, by_id) for run in runs]


def _location(run: NewRun, found: Mapping[int, Row]) -> str | Exception:
    experiment = found.get(run.experiment_id)
    if experiment is None:
        return experiments.no_experiment(run.experiment_id)
    try:
        experiments.check_active(run.experiment_id, experiment["lifecycle_stage"])
        return run.artifact_uri(experiment["artifact_location"])
    except (MlflowError, ForwardRequest) as error:
        return error


def _located(runs: Sequence[NewRun], locations: Sequence[str | Exception]) -> list[_Located]:
    return [(run, location) for run, location in zip(runs, locations, strict=True) if isinstance(location, str)]


def _columns(located: _Located) -> tuple[object, ...]:
    run, location = located
    return run.run_id, run.name, run.user_id, run.start_time, location, run.experiment_id
