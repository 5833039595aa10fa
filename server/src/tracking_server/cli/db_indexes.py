"""``tracking-server db indexes``: create, drop, status."""

from __future__ import annotations

import asyncio
import dataclasses
import json

import click
from rich.console import Console
from rich.table import Table

from tracking_server.cli.amounts import bytes_in_words
from tracking_server.cli.options import SettingsCommand, with_settings
from tracking_server.maintenance.database import indexes
from tracking_server.settings_loader import Loaded


@click.group("indexes")
def command() -> None:
    """Look after the additional indexes of this server: none is needed, each makes a query quicker.

    They are made and dropped beside running servers, have names that begin with tracking_server_, and are no part of
    MLflow's schema.
    """


@command.command("create", cls=SettingsCommand, listed=("database",))
@with_settings
def create(loaded: Loaded) -> None:
    """Make those that are missing; on PostgreSQL without blocking writers."""
    count = asyncio.run(indexes.create(loaded.config, _tell))
    click.echo(f"{count} made")


@command.command("drop", cls=SettingsCommand, listed=("database",))
@with_settings
def drop(loaded: Loaded) -> None:
    """Drop them all, and what `db upgrade --prepare` left for an upgrade that did not come."""
    count = asyncio.run(indexes.drop(loaded.config, _tell))
    click.echo(f"{count} dropped")


@command.command("status", cls=SettingsCommand, listed=("database",))
@with_settings
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array instead of a table.")
def status(loaded: Loaded, as_json: bool) -> None:
    """List them, with the query that each is for."""
    found = asyncio.run(indexes.look(loaded.config))
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(each) for each in found], indent=2))
        return
    table = Table("index", "state", "size", "for")
    for each in found:
        size = bytes_in_words(each.bytes) if each.bytes is not None else ""
        table.add_row(each.name, each.state, size, each.purpose)
    Console(highlight=False).print(table)


def _tell(text: str) -> None:
    click.echo(text, err=True)
