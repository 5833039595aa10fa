"""The order of a copy's steps."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from tracking_server.artifacts.disk import DiskStore
from tracking_server.artifacts.store import ArtifactStore
from tracking_server.errors import MlflowError
from tracking_server.exit_codes import ExitCode
from tracking_server.maintenance.copy.artifacts import Copied, copy_artifacts
from tracking_server.maintenance.copy.checksum import Digest
from tracking_server.maintenance.copy.engines import DRIVER_ERRORS, locked, look, open_engine, reason, require_head
from tracking_server.maintenance.copy.failures import CopyFailed, Refused
from tracking_server.maintenance.copy.locations import Relocation
from tracking_server.maintenance.copy.progress import Progress, Step
from tracking_server.maintenance.copy.record import Done, has_record
from tracking_server.maintenance.copy.source import Source, kept_unchanged, open_source
from tracking_server.maintenance.copy.tables import Table, check_source, read_tables
from tracking_server.maintenance.copy.target import Target, open_target
from tracking_server.maintenance.copy.values import CannotHold, RowReader
from tracking_server.settings_database import DatabaseKind, DatabaseUri
from tracking_server.startup import initialise
from tracking_server.store.schema import SchemaState

_MOST_PROBLEMS = 1000
_REFUSAL = "the target cannot hold these rows; nothing was written:"


@dataclass(frozen=True, slots=True)
class Artifacts:
    """Artifacts to copy along into one place, and how rows that name their old one are to change.

    ``only`` tells by its path whether a file of a source is an artifact; None where all are.
    """

    sources: tuple[ArtifactStore, ...]
    target: ArtifactStore
    relocation: Relocation
    only: Callable[[str], bool] | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What to copy: ``artifact_root`` is the one that an empty target's Default experiment is made with."""

    source: DatabaseUri
    target: DatabaseUri
    artifact_root: str
    artifacts: Artifacts | None
    restart: bool = False

    @property
    def is_in_place(self) -> bool:
        """Whether the database stays where it is, and only its artifacts move."""
        return self.source.for_sqlalchemy() == self.target.for_sqlalchemy()


@dataclass(frozen=True, slots=True)
class Summary:
    """What the target holds at the end, whoever wrote it, this run or one before that was killed.

    In place, ``rows`` counts the locations that this run has changed, and ``tables`` those in which they stand.
    """

    rows: int
    tables: int
    objects: int
    bytes: int
    seconds: float


def copy(order: Order, progress: Progress) -> Summary:
    """Copies a database, and artifacts if asked. Raises CopyFailed; run again, it goes on where it was."""
    began = time.monotonic()
    source_engine, target_engine = open_engine(order.source), open_engine(order.target)
    source_name, target_name = order.source.masked(), order.target.masked()
    _check_uris(order)
    if not order.is_in_place and look(target_engine, target_name).state is SchemaState.EMPTY:
        require_head(look(source_engine, source_name), source_name, "source")
        _initialise(order, progress)
    try:
        if order.is_in_place:
            rows, tables, copied = _move_artifacts(order, target_engine, progress)
            return Summary(rows, tables, copied.objects, copied.bytes, round(time.monotonic() - began, 3))
        with locked(source_engine, source_name, "source"), locked(target_engine, target_name, "target"):
            found = look(source_engine, source_name)
            require_head(found, source_name, "source")
            if not has_record(target_engine):
                require_head(look(target_engine, target_name), target_name, "target")
            rows, tables, copied = _copy(order, source_engine, target_engine, found.installed_head, progress)
    except (*DRIVER_ERRORS, sa.exc.SQLAlchemyError) as error:
        raise CopyFailed(f"{reason(error)}; the same command goes on where it was", ExitCode.UNREACHABLE) from error
    return Summary(rows, tables, copied.objects, copied.bytes, round(time.monotonic() - began, 3))


def _check_uris(order: Order) -> None:
    if order.target.kind is DatabaseKind.OTHER:
        raise CopyFailed(f"{order.target.masked()}: a copy goes into PostgreSQL or SQLite", ExitCode.BAD_CONFIGURATION)
    if order.source.kind is DatabaseKind.SQLITE and not order.source.sqlite_path().exists():
        raise CopyFailed(f"{order.source.sqlite_path()} does not exist", ExitCode.UNREACHABLE)
    if order.target.kind is DatabaseKind.SQLITE:
        order.target.sqlite_path().parent.mkdir(parents=True, exist_ok=True)
    if order.is_in_place and order.artifacts is None:
        raise CopyFailed("the source is the target, and no artifacts are to move", ExitCode.BAD_CONFIGURATION)


def _initialise(order: Order, progress: Progress) -> None:
    progress.say(f"{order.target.masked()} is empty: MLflow makes its tables")
    asyncio.run(initialise(order.target.for_sqlalchemy(), order.artifact_root))


def _copy(
    order: Order, source_engine: sa.Engine, target_engine: sa.Engine, revision: str, progress: Progress
) -> tuple[int, int, Copied]:
    """Copies between two locked databases at ``revision``; the number of rows, of tables, and the artifacts."""
    source_name = order.source.masked()
    tables = read_tables(target_engine)
    check_source(source_engine, tables)
    with (
        open_source(source_engine, source_name, tables) as source,
        open_target(target_engine, order.target.masked(), tables) as target,
    ):
        source.check_foreign_keys()
        relocation = order.artifacts.relocation if order.artifacts else None
        readers = {table.name: RowReader(table, target.dialect, relocation) for table in tables}
        digests = _check(source, tables, readers, progress)
        identity = {"source": source_name}
        if relocation is not None:
            identity |= {"artifacts from": relocation.old, "artifacts to": relocation.new}
        copied = Copied()
        if target.is_begun() or target.is_fresh():
            _load(source, target, tables, readers, digests, _begin(target, identity, order.restart), progress)
            target.check_foreign_keys()
            _verify(target, tables, digests, progress)
            copied = _copy_artifacts(order, progress)
            target.finish(revision, {table.name: source.last_of_sequence(table) for table in tables})
        else:
            _require_same(target, tables, digests, progress)
            copied = _copy_artifacts(order, progress)
    return sum(digest.rows for digest in digests.values()), len(tables), copied


def _check(
    source: Source, tables: Sequence[Table], readers: Mapping[str, RowReader], progress: Progress
) -> dict[str, Digest]:
    """Reads every source row once. Raises Refused with each that the target cannot hold."""
    digests: dict[str, Digest] = {}
    problems: list[str] = []
    with progress.step("checking the source", "rows", None) as step:
        for table in tables:
            digest = digests[table.name] = Digest(table)
            reader = readers[table.name]
            for raw in source.rows(table):
                try:
                    digest.add(reader.read(raw))
                except CannotHold:
                    problems += reader.problems(raw)
                    if len(problems) >= _MOST_PROBLEMS:
                        raise Refused(_REFUSAL, problems) from None
                step.advance(len(raw), table.name)
    if problems:
        raise Refused(_REFUSAL, problems)
    return digests


def _begin(target: Target, identity: Mapping[str, str], restart: bool) -> Mapping[str, Done]:
    if restart and target.is_begun():
        target.restart(identity)
        return {}
    return target.begin(identity)


def _load(
    source: Source,
    target: Target,
    tables: Sequence[Table],
    readers: Mapping[str, RowReader],
    digests: Mapping[str, Digest],
    done: Mapping[str, Done],
    progress: Progress,
) -> None:
    with progress.step("copying", "rows", sum(digest.rows for digest in digests.values())) as step:
        for table in tables:
            before = done.get(table.name, Done())
            if before.whole:
                step.advance(digests[table.name].rows, table.name)
                continue
            reader = readers[table.name]
            batches = ((raw, reader.read(raw)) for raw in source.rows(table, before.last, ordered=True))
            for count in target.load(table, batches):
                step.advance(count, table.name)


def _verify(target: Target, tables: Sequence[Table], expected: Mapping[str, Digest], progress: Progress) -> None:
    """Raises CopyFailed unless the target's rows are the source's."""
    different = [
        f"{table.name}: {expected[table.name]} in the source, {found} in the target"
        for table, found in _digests(target, tables, expected, progress)
        if not found.agrees_with(expected[table.name])
    ]
    if different:
        raise Refused(
            "the copy differs from the source, which has changed since the copy began; pass --restart:", different
        )


def _require_same(target: Target, tables: Sequence[Table], expected: Mapping[str, Digest], progress: Progress) -> None:
    """A copy that ended may be asked for again, when nobody remembers its end; other data is never touched."""
    for table, found in _digests(target, tables, expected, progress):
        if not found.agrees_with(expected[table.name]):
            raise CopyFailed(
                f"{target.name} holds data that is not the source's (first in {table.name}); a copy goes into an empty"
                " database, or one that MLflow has only just made"
            )


def _digests(
    target: Target, tables: Sequence[Table], expected: Mapping[str, Digest], progress: Progress
) -> Iterator[tuple[Table, Digest]]:
    with progress.step("comparing", "rows", sum(digest.rows for digest in expected.values())) as step:
        for table in tables:
            digest = Digest(table)
            # Read as a row of the target, where nothing is to change any more.
            reader = RowReader(table, target.dialect)
            for raw in target.rows(table):
                digest.add(reader.read(raw))
                step.advance(len(raw), table.name)
            yield table, digest


def _move_artifacts(order: Order, engine: sa.Engine, progress: Progress) -> tuple[int, int, Copied]:
    """Copies artifacts, then has the database's rows name the new place; how many rows, in how many tables.

    Until then the rows name the old place, where everything stays.
    """
    assert order.artifacts is not None
    name = order.target.masked()
    with locked(engine, name, "database"):
        require_head(look(engine, name), name, "database")
        updates = list(order.artifacts.relocation.updates())
        with kept_unchanged(engine, name, read_tables(engine)) as connection:
            _rehearse(connection, updates)
            copied = _copy_artifacts(order, progress)
            changed = {update: connection.execute(update).rowcount for update in updates}
            connection.commit()
    tables = {str(update.table) for update, count in changed.items() if count}
    return sum(changed.values()), len(tables), copied


def _rehearse(connection: sa.Connection, updates: Sequence[sa.Update]) -> None:
    """Finds out before hours of copying whether the database can hold the new locations. Raises CopyFailed."""
    with connection.begin_nested() as rehearsal:
        try:
            for update in updates:
                connection.execute(update)
        except sa.exc.DataError as error:
            raise CopyFailed(f"a location would be too long for its column: {reason(error)}") from error
        rehearsal.rollback()


def _copy_artifacts(order: Order, progress: Progress) -> Copied:
    if order.artifacts is None:
        return Copied()
    with progress.step("copying artifacts", "files", None) as step:
        return asyncio.run(_checked_copy(order.artifacts, order.target.masked(), step))


async def _checked_copy(artifacts: Artifacts, database: str, step: Step) -> Copied:
    target = artifacts.target
    try:
        await target.check()
        if isinstance(target, DiskStore):
            # The database's lock is ours: what was written for it bears its name, and nobody goes on with it.
            target = target.written_by("copy-" + hashlib.sha256(database.encode()).hexdigest()[:16])
            await target.discard_unfinished()
    except MlflowError as error:
        raise CopyFailed(f"the artifacts' target cannot be used: {error}", ExitCode.UNREACHABLE) from error
    copied = Copied()
    for source in artifacts.sources:
        more = await copy_artifacts(source, target, step, artifacts.only)
        copied.objects += more.objects
        copied.bytes += more.bytes
    return copied
