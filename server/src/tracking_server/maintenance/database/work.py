"""What a revision does to a database of a certain size, read from its statements: tables, rewrites, index builds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tracking_server.maintenance.database.catalogue import Revision
from tracking_server.store.database import Dialect

Sizes = Mapping[str, tuple[int | None, int | None]]
"""Rows and bytes of each table, estimated; None where unknown."""

# Rows a second, on an ordinary disk: a lower speed than measured, because an estimate that is kept is worth more.
_ROWS_PER_SECOND = {"rewrite": 150_000, "update": 50_000, "index": 400_000, "key": 400_000, "scan": 2_000_000}
_BRIEFLY = 1.0

_NAME = r'"?(\w+)"?'
_CREATE_TABLE = re.compile(rf"CREATE TABLE {_NAME}", re.IGNORECASE)
_CREATE_INDEX = re.compile(rf"CREATE (?:UNIQUE )?INDEX {_NAME} ON {_NAME}", re.IGNORECASE)
_ALTER = re.compile(rf"ALTER TABLE {_NAME} (.*)", re.IGNORECASE | re.DOTALL)
_DROP_TABLE = re.compile(rf"DROP TABLE {_NAME}", re.IGNORECASE)
_WRITE = re.compile(rf"(?:UPDATE|DELETE FROM|INSERT INTO) {_NAME}", re.IGNORECASE)
_REBUILT = re.compile(rf"INSERT INTO _alembic_tmp_{_NAME}", re.IGNORECASE)
_REFERENCED = re.compile(rf"REFERENCES {_NAME}", re.IGNORECASE)
# On PostgreSQL these keep the rows as they are stored; every other type makes it write the table anew.
_SAME_STORAGE = re.compile(r"TYPE (VARCHAR|TEXT|BOOLEAN)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Step:
    """One kind of work on one table. ``rows`` and ``bytes`` are estimates, None where nothing is known."""

    kind: str
    table: str
    rows: int | None
    bytes: int | None
    seconds: float
    blocks_writes: bool


@dataclass(frozen=True, slots=True)
class RevisionWork:
    """A pending revision. ``seconds`` is about how long it takes, ``blocks_writes`` whether writers wait meanwhile.

    Every change of a table needs its lock for an instant; that alone is not called blocking.
    """

    revision: str
    description: str
    mlflow: str
    steps: tuple[Step, ...]
    rows: int
    bytes: int | None
    seconds: float
    blocks_writes: bool
    online: bool


def work_of(revision: Revision, dialect: Dialect, sizes: Sizes) -> RevisionWork:
    """What ``revision`` does to tables of these sizes. A table that is not there yet costs nothing."""
    found = dict.fromkeys(_step("update", table, sizes) for table in revision.reads if table in sizes)
    found |= dict.fromkeys(
        step for statement in revision.statements(dialect) for step in _steps(statement, dialect, sizes)
    )
    steps = tuple(found)
    touched = {step.table: step for step in steps if step.kind != "create table"}
    sized = [step.bytes for step in touched.values() if step.bytes is not None]
    blocks = any(step.blocks_writes for step in steps)
    return RevisionWork(
        revision=revision.revision,
        description=revision.description,
        mlflow=revision.since,
        steps=steps,
        rows=sum(step.rows or 0 for step in touched.values()),
        bytes=sum(sized) if sized or not touched else None,
        seconds=round(sum(step.seconds for step in steps), 1),
        blocks_writes=blocks,
        # SQLite has one writer at a time; and what renames or drops breaks servers that still run the old code.
        online=dialect is Dialect.POSTGRESQL and not blocks and not _breaks_old_servers(steps),
    )


def _steps(statement: str, dialect: Dialect, sizes: Sizes) -> Iterable[Step]:
    kind_and_table = _classified(statement, dialect)
    if kind_and_table is None:
        return
    kind, table = kind_and_table
    yield _step(kind, table, sizes)
    for referenced in _REFERENCED.findall(statement) if kind == "create table" else ():
        # Its rows are not touched: the lock of an instant is what there is to tell.
        if sizes.get(referenced, (0, 0))[0]:
            yield Step("reference", referenced, 0, 0, 0.0, False)


def _step(kind: str, table: str, sizes: Sizes) -> Step:
    rows, size = sizes.get(table, (0, 0))
    speed = _ROWS_PER_SECOND.get(kind)
    seconds = 0.0 if speed is None else (rows or 0) / speed
    return Step(kind, table, rows, size, round(seconds, 1), seconds > _BRIEFLY)


def _classified(statement: str, dialect: Dialect) -> tuple[str, str] | None:
    if found := _REBUILT.match(statement):
        return "rewrite", found[1]
    if found := _CREATE_INDEX.match(statement):
        return "index", found[2]
    if found := _CREATE_TABLE.match(statement):
        return None if found[1].startswith("_alembic_tmp_") else ("create table", found[1])
    if found := _DROP_TABLE.match(statement):
        # Dropping the old table is the end of a rewrite on SQLite.
        return None if dialect is Dialect.SQLITE else ("drop table", found[1])
    if found := _ALTER.match(statement):
        return None if found[1].startswith("_alembic_tmp_") else (_altering(found[2], dialect), found[1])
    if found := _WRITE.match(statement):
        return "update", found[1]
    return None


def _altering(change: str, dialect: Dialect) -> str:
    upper = change.upper()
    if upper.startswith("RENAME"):
        return "rename"
    if dialect is Dialect.SQLITE or upper.startswith(("ADD COLUMN", "DROP")):
        return "drop" if upper.startswith("DROP COLUMN") else "alter"
    if " TYPE " in upper:
        return "alter" if _SAME_STORAGE.search(change) else "rewrite"
    if upper.startswith("ADD CONSTRAINT") and ("PRIMARY KEY" in upper or "UNIQUE" in upper):
        return "key"
    if upper.startswith("ADD") or "SET NOT NULL" in upper:
        return "scan"
    return "alter"


def _breaks_old_servers(steps: Iterable[Step]) -> bool:
    return any(step.kind in ("rename", "drop", "drop table", "rewrite") for step in steps)
