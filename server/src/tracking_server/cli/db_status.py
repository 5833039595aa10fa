"""``tracking-server db status``."""

from __future__ import annotations

import asyncio
import dataclasses
import json

import click

from tracking_server import logs
from tracking_server.cli.options import SettingsCommand, with_settings
from tracking_server.config import LoggingSettings, LogLevel
from tracking_server.maintenance.database.status import Status, look
from tracking_server.settings_loader import Loaded


@click.command("status", cls=SettingsCommand, listed=("database",))
@with_settings
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@click.pass_context
def command(ctx: click.Context, loaded: Loaded, as_json: bool) -> None:
    """Say where the schema stands against the installed MLflow's, and what each pending revision would do.

    Rows, bytes and seconds are estimates, from the database's own statistics. Ends with 0 when the schema is current,
    10 when it is behind, 11 when it is ahead, 12 when the tables are not MLflow's, 13 when there are none, and 5 when
    the database cannot be reached. Changes nothing.
    """
    logs.setup(LoggingSettings(level=LogLevel.ERROR, format=loaded.config.logging.format))
    status = asyncio.run(look(loaded.config))
    if as_json:
        click.echo(json.dumps({**dataclasses.asdict(status)}, indent=2))
    else:
        _print(status)
    ctx.exit(status.state.exit_code)


def _print(status: Status) -> None:
    # Here, because it takes longer to load than the JSON takes to make.
    from rich.console import Console
    from rich.table import Table

    from tracking_server.cli.amounts import bytes_in_words, seconds_in_words

    console = Console(highlight=False)
    made_by = f" (MLflow {status.current_mlflow})" if status.current_mlflow else ""
    console.print(f"state    {status.state}", markup=False)
    console.print(f"current  {status.current or 'none'}{made_by}", markup=False)
    console.print(f"target   {status.target} (MLflow {status.target_mlflow})", markup=False)
    if not status.pending:
        return
    table = Table("revision", "MLflow", "what it does", "rows", "size", "about", "writers", title_justify="left")
    for each in status.pending:
        done = (
            "\n".join(dict.fromkeys(f"{step.kind} {step.table}" for step in each.steps)) or "nothing to this database"
        )
        waiting = "wait" if each.blocks_writes else "go on" if each.online else "go on*"
        size = bytes_in_words(each.bytes)
        about = seconds_in_words(each.seconds)
        table.add_row(each.revision, each.mlflow, done, f"{each.rows:,}", size, about, waiting, end_section=True)
    console.print(table)
    total = seconds_in_words(sum(each.seconds for each in status.pending))
    online = all(each.online for each in status.pending)
    console.print(
        f"about {total} in all; {'--online is possible' if online else 'stop the servers first'}", markup=False
    )
