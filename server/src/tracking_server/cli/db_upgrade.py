"""``tracking-server db upgrade``."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import click

from tracking_server import logs
from tracking_server.cli.options import SettingsCommand, with_settings
from tracking_server.cli.serve import create_data_folders
from tracking_server.config import LoggingSettings, LogLevel
from tracking_server.exit_codes import ExitCode, FatalError
from tracking_server.maintenance.database.messages import Done, Event, Mode, Order, Stage
from tracking_server.maintenance.database.status import State, Status, look
from tracking_server.maintenance.database.upgrade import run
from tracking_server.settings_loader import Loaded
from tracking_server.store.schema import Schema, SchemaState


class _Report(Protocol):
    def __call__(self, event: Event | Stage) -> None: ...


@click.command("upgrade", cls=SettingsCommand, listed=("database", "artifacts"))
@with_settings
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output at the end.")
@click.option("--online", is_flag=True, help="Upgrade while servers serve, where every pending revision allows it.")
@click.option(
    "--prepare", is_flag=True, help="Only build the new indexes, while servers serve; then stop them, upgrade."
)
def command(loaded: Loaded, as_json: bool, online: bool, prepare: bool) -> None:
    """Bring the schema to the installed MLflow's, with MLflow's own migrations, in one transaction.

    Back the database up first: there is no way back. Whatever goes wrong, a kill too, leaves the schema as it was, and
    the command can be run again. Servers that serve the database must have been stopped (exit code 14 names them). An
    empty database gets MLflow's tables; a current one is left alone.
    """
    logs.setup(LoggingSettings(level=LogLevel.ERROR, format=loaded.config.logging.format))
    config = loaded.config
    status = asyncio.run(look(config))
    _refuse(status, online=online)
    create_data_folders(config)
    mode = Mode.PREPARE if prepare else Mode.ONLINE if online else Mode.OFFLINE
    began = time.monotonic()
    if status.state is State.CURRENT:
        done = Done(status.current, status.target, 0, [])
    else:
        with _progress(status) as report:
            done = asyncio.run(run(Order(config.database.uri_for_stock(), mode), report))
    seconds = round(time.monotonic() - began, 2)
    for difference in done.differences:
        click.echo(f"warning: the schema differs from MLflow's models: {difference}", err=True)
    if as_json:
        answer = {"from": done.before, "to": done.after, "revisions": done.revisions, "seconds": seconds}
        click.echo(json.dumps(answer | {"differences": done.differences}))
    elif done.revisions:
        click.echo(f"upgraded from {done.before or 'nothing'} to {done.after} in {seconds} s", err=True)
    else:
        click.echo(f"at {done.after or 'nothing'}; nothing was changed", err=True)


def _refuse(status: Status, *, online: bool) -> None:
    if status.state is State.AHEAD:
        message = f"the database's schema {status.current} is of a newer MLflow than {status.target_mlflow}"
        raise FatalError(message, ExitCode.SCHEMA_AHEAD)
    if status.state is State.NOT_MLFLOW:
        message = Schema(SchemaState.NOT_MLFLOW, status.current, status.target).explain()
        raise FatalError(message, ExitCode.NOT_MLFLOW)
    offline = [each.revision for each in status.pending if not each.online]
    if online and offline:
        message = f"these revisions need the servers stopped: {', '.join(offline)}; run without --online"
        raise FatalError(message, ExitCode.LOCKED)


@contextmanager
def _progress(status: Status) -> Iterator[_Report]:
    if sys.stderr.isatty():
        with _bar(status) as report:
            yield report
    else:
        yield _lines(status)


def _lines(status: Status) -> _Report:
    descriptions = {each.revision: each.description for each in status.pending}
    total = len(status.pending)
    count = 0

    def report(event: Event | Stage) -> None:
        nonlocal count
        if isinstance(event, Stage):
            click.echo(event.text, err=True)
            return
        count += 1
        of_all = f"{count} of {total}: " if total else ""
        click.echo(f"{of_all}{event.revision} {descriptions.get(event.revision, '')}".rstrip(), err=True)

    return report


@contextmanager
def _bar(status: Status) -> Iterator[_Report]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        following = [each.description for each in status.pending][1:]
        first = status.pending[0].description if status.pending else "making MLflow's tables"
        task = progress.add_task(first, total=len(status.pending) or None)

        def report(event: Event | Stage) -> None:
            if isinstance(event, Stage):
                progress.update(task, description=event.text)
                return
            progress.advance(task)
            if following:
                progress.update(task, description=following.pop(0))

        yield report
