"""The SQL of an upgrade, as MLflow's migrations were seen to run it. Nothing is run."""

from __future__ import annotations

from collections.abc import Iterator

from tracking_server.maintenance.database.catalogue import Revision, catalogue
from tracking_server.maintenance.database.status import State, Status
from tracking_server.store.database import Dialect


def script(status: Status, dialect: Dialect) -> Iterator[str]:
    """The upgrade's statements, line by line, with a remark for each revision; nothing where there is none to make."""
    if status.state not in (State.BEHIND, State.EMPTY):
        return
    before = status.current
    yield f"-- From {before or 'nothing'} to {status.target} ({dialect}), in one transaction."
    yield "BEGIN;"
    for revision in catalogue().after(before):
        yield ""
        yield f"-- {revision.revision}, MLflow {revision.since}: {revision.description}"
        if revision.reads:
            yield f"-- It also changes rows one by one, by what stands in {', '.join(revision.reads)}."
        for statement in _statements(revision, status, dialect):
            yield f"{statement.rstrip(';')};"
        yield _step(before, revision.revision)
        before = revision.revision
    yield ""
    yield "COMMIT;"


def _statements(revision: Revision, status: Status, dialect: Dialect) -> list[str]:
    statements = revision.statements(dialect)
    if status.state is State.BEHIND and status.current is None:
        # MLflow 0.x, whose tables are there, but for Alembic's own.
        first = ("experiments", "runs", "tags", "metrics", "params")
        return [each for each in statements if not each.startswith(tuple(f"CREATE TABLE {name} " for name in first))]
    return statements


def _step(before: str | None, revision: str) -> str:
    if before is None:
        return f"INSERT INTO alembic_version (version_num) VALUES ('{revision}');"  # noqa: S608  printed, not run
    return f"UPDATE alembic_version SET version_num = '{revision}' WHERE version_num = '{before}';"  # noqa: S608  printed, not run
