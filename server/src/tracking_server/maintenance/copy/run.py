"""The order of a copy's steps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from tracking_server.artifacts.store import ArtifactStore
from tracking_server.errors import MlflowError
from tracking_server.exit_codes import ExitCode
from tracking_server.maintenance.copy.artifacts import Copied, copy_artifacts
from tracking_server.maintenance.copy.checksum import Digest
from tracking_server.maintenance.copy.engines import look, open_engine, require_head
from tracking_server.maintenance.copy.failures import CopyFailed, Refused
from tracking_server.maintenance.copy.locations import Relocation
from tracking_server.maintenance.copy.progress import Progress, Step
from tracking_server.maintenance.copy.record import Done, has_record
from tracking_server.maintenance.copy.source import Source, open_source
from tracking_server.maintenance.copy.tables import Table, check_source, read_tables
from tracking_server.maintenance.copy.target import Target, open_target
from tracking_server.maintenance.copy.values import CannotHold, RowReader
from tracking_server.settings_database import DatabaseKind, DatabaseUri
from tracking_server.store import schema

_TOLD_EVERY = 2000


@dataclass(frozen=True, slots=True)
class Artifacts:
    """Artifacts to copy along, and how rows that name their place are to change."""

    source: ArtifactStore
    target: ArtifactStore
    relocation: Relocation


@dataclass(frozen=True, slots=True)
class Order:
    """What to copy: ``artifact_root`` is the one that an empty target's Default experiment is made with."""

    source: DatabaseUri
    target: DatabaseUri
    artifact_root: str
    artifacts: Artifacts | None
    restart: bool = False
    through_pooler: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """What the target holds at the end, whoever wrote it, this run or one before that was killed."""

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
    revision = _prepare(order, source_engine, target_engine, progress)
    tables = read_tables(target_engine)
    check_source(source_engine, tables)
    with (
        open_source(source_engine, source_name, tables) as source,
        open_target(target_engine, target_name, tables) as target,
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
            copied = _copy_artifacts(order.artifacts, progress)
            target.finish(revision, {table.name: source.last_of_sequence(table) for table in tables})
        else:
            _require_same(target, tables, digests, progress)
            copied = _copy_artifacts(order.artifacts, progress)
    return Summary(
        rows=sum(digest.rows for digest in digests.values()),
        tables=len(tables),
        objects=copied.objects,
        bytes=copied.bytes,
        seconds=round(time.monotonic() - began, 3),
    )


def _prepare(order: Order, source_engine: sa.Engine, target_engine: sa.Engine, progress: Progress) -> str:
    """Brings the target to where it can be copied into; returns the revision of both."""
    if order.target.kind is DatabaseKind.OTHER:
        raise CopyFailed(f"{order.target.masked()}: a copy goes into PostgreSQL or SQLite", ExitCode.BAD_CONFIGURATION)
    if order.source.kind is DatabaseKind.SQLITE and not order.source.sqlite_path().exists():
        raise CopyFailed(f"{order.source.sqlite_path()} does not exist", ExitCode.UNREACHABLE)
    if order.source.for_sqlalchemy() == order.target.for_sqlalchemy():
        raise CopyFailed("the source is the target", ExitCode.BAD_CONFIGURATION)
    found = look(source_engine, order.source.masked())
    require_head(found, order.source.masked(), "source")
    present = look(target_engine, order.target.masked())
    if present.state is schema.SchemaState.EMPTY:
        progress.say(f"{order.target.masked()} is empty: MLflow makes its tables")
        try:
            asyncio.run(schema.initialise(order.target.for_sqlalchemy(), order.artifact_root))
        except schema.InitialisationFailed as error:
            raise CopyFailed(str(error), ExitCode.DATABASE_NOT_READY) from error
    elif not has_record(target_engine):
        require_head(present, order.target.masked(), "target")
    return found.installed_head


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
            for number, raw in enumerate(source.rows(table), 1):
                try:
                    digest.add(reader.read(raw))
                except CannotHold as error:
                    problems.append(str(error))
                if number % _TOLD_EVERY == 0:
                    step.advance(_TOLD_EVERY, table.name)
            step.advance(digest.rows % _TOLD_EVERY, table.name)
    if problems:
        raise Refused("the target cannot hold these rows; nothing was written:", problems)
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
            read = readers[table.name].read
            pairs = ((raw, read(raw)) for raw in source.rows(table, before.last, ordered=True))
            for count in target.load(table, pairs):
                step.advance(count, table.name)


def _verify(target: Target, tables: Sequence[Table], expected: Mapping[str, Digest], progress: Progress) -> None:
    """Raises CopyFailed unless the target's rows are the source's."""
    different = [
        f"{table.name}: {expected[table.name]} in the source, {found} in the target"
        for table, found in _digests(target, tables, expected, progress)
        if found != expected[table.name]
    ]
    if different:
        raise Refused(
            "the copy differs from the source, which has changed since the copy began; pass --restart:", different
        )


def _require_same(target: Target, tables: Sequence[Table], expected: Mapping[str, Digest], progress: Progress) -> None:
    """A copy that ended may be asked for again, when nobody remembers its end; other data is never touched."""
    for table, found in _digests(target, tables, expected, progress):
        if found != expected[table.name]:
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
            for number, raw in enumerate(target.rows(table), 1):
                digest.add(reader.read(raw))
                if number % _TOLD_EVERY == 0:
                    step.advance(_TOLD_EVERY, table.name)
            step.advance(digest.rows % _TOLD_EVERY, table.name)
            yield table, digest


def _copy_artifacts(artifacts: Artifacts | None, progress: Progress) -> Copied:
    if artifacts is None:
        return Copied()
    with progress.step("copying artifacts", "files", None) as step:
        return asyncio.run(_checked_copy(artifacts, step))


async def _checked_copy(artifacts: Artifacts, step: Step) -> Copied:
    try:
        await artifacts.source.check()
        await artifacts.target.check()
    except MlflowError as error:
        raise CopyFailed(f"the artifact storage cannot be used: {error}", ExitCode.UNREACHABLE) from error
    return await copy_artifacts(artifacts.source, artifacts.target, step)
