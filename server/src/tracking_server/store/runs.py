"""Runs between their creation and their end: updates, tags, deletion (mlflow/store/tracking/sqlalchemy_store.py)."""

from __future__ import annotations

from tracking_server.clock import now_millis
from tracking_server.errors import does_not_exist
from tracking_server.store.assessments import refuse_if_assessed
from tracking_server.store.database import Connection, Row
from tracking_server.store.queries import QueryFile
from tracking_server.store.run_errors import run_not_active, run_not_found

_QUERIES = QueryFile("runs")


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
