"""Runs from their creation to their deletion (mlflow/store/tracking/sqlalchemy_store.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tracking_server.clock import now_millis
from tracking_server.errors import does_not_exist
from tracking_server.store import experiments
from tracking_server.store.assessments import refuse_if_assessed
from tracking_server.store.database import Connection, Database, Dialect, IntegrityViolation, Row
from tracking_server.store.queries import QueryFile
from tracking_server.store.run_errors import run_not_active, run_not_found

_QUERIES = QueryFile("runs")
_RUN_KEY = "run_pk"


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to be made; ``start_time`` in milliseconds, ``tags`` with the run's name among them."""

    run_id: str
    experiment_id: int
    name: str
    user_id: str
    start_time: int
    tags: Sequence[tuple[str, str]]


async def create(database: Database, run: NewRun, artifact_uri: Callable[[str], str]) -> str:
    """Stores a new run in an active experiment; ``artifact_uri`` makes its location from the experiment's.

    Returns that location.
    """
    if database.dialect is Dialect.SQLITE:
        return await database.write(lambda connection: _create_in_transaction(connection, run, artifact_uri))
    # Stock does not lock the experiment either; so two statements do what took five round trips (bench: create run).
    location = await _location(database, run, artifact_uri)
    tags = [list(column) for column in zip(*run.tags, strict=True)] or [[], []]
    try:
        await database.write_statement(_QUERIES["insert_tagged_run"], *_columns(run, location), *tags)
    except IntegrityViolation as error:
        # The id is new: it is there only if the connection was lost after the commit, and the statement run again.
        if error.constraint != _RUN_KEY:
            raise
    return location


async def _create_in_transaction(connection: Connection, run: NewRun, artifact_uri: Callable[[str], str]) -> str:
    location = await _location(connection, run, artifact_uri)
    await connection.execute(_QUERIES["insert_run"], *_columns(run, location))
    await connection.execute_many(_QUERIES["insert_tag"], [(run.run_id, *tag) for tag in run.tags])
    return location


async def _location(source: Database | Connection, run: NewRun, artifact_uri: Callable[[str], str]) -> str:
    experiment = await experiments.find(source, _QUERIES["experiment_of_new_run"], run.experiment_id)
    experiments.check_active(run.experiment_id, experiment["lifecycle_stage"])
    return artifact_uri(experiment["artifact_location"])


def _columns(run: NewRun, location: str) -> tuple[object, ...]:
    return run.run_id, run.name, run.user_id, run.start_time, location, run.experiment_id


async def update(
    connection: Connection, run_id: str, status: str | None, end_time: int | None, name: str | None
) -> Row:
    """Changes what is given of an active run; returns its row. A run without a name goes by its name tag."""
    await require_active(connection, run_id)
    if name:
        await connection.execute(_QUERIES["set_run_name_tag"], run_id, name)
    row = await connection.fetch_one(_QUERIES["update_run"], run_id, status, end_time, name or None)
    assert row is not None
    return row


async def delete(connection: Connection, run_id: str) -> None:
    """Marks a run deleted, again if it was already. Raises ForwardRequest where assessments came from runs."""
    if await connection.fetch_one(_QUERIES["lock_run"], run_id) is None:
        raise run_not_found(run_id)
    await refuse_if_assessed(connection)
    await connection.execute(_QUERIES["mark_deleted"], run_id, now_millis())


async def restore(connection: Connection, run_id: str) -> None:
    """Makes a run active, deleted or not."""
    if not await connection.execute(_QUERIES["mark_active"], run_id):
        raise run_not_found(run_id)


async def delete_tag(connection: Connection, run_id: str, key: str) -> None:
    """Deletes a tag of an active run."""
    await require_active(connection, run_id)
    if not await connection.execute(_QUERIES["delete_tag"], run_id, key):
        raise does_not_exist(f"No tag with name: {key} in run with id {run_id}")


async def require_active(connection: Connection, run_id: str) -> Row:
    """The locked row (lifecycle_stage, experiment_id) of an active run; raises if it is missing or deleted."""
    row = await connection.fetch_one(_QUERIES["lock_run"], run_id)
    if row is None:
        raise run_not_found(run_id)
    if row["lifecycle_stage"] != "active":
        raise run_not_active(run_id, row["lifecycle_stage"])
    return row
