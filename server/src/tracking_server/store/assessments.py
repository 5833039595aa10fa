"""Assessments of traces that came from a run: stock deletes them with the run."""

from __future__ import annotations

from tracking_server.errors import ForwardRequest
from tracking_server.store.database import Connection
from tracking_server.store.queries import QueryFile

_QUERIES = QueryFile("assessments")


async def refuse_if_assessed(connection: Connection) -> None:
    """Raises ForwardRequest if any assessment came from a run, since stock then has more to delete."""
    if await connection.fetch_one(_QUERIES["any_assessment_of_a_run"]) is not None:
        raise ForwardRequest("assessments")
