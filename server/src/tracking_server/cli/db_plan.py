"""``tracking-server db plan``."""

from __future__ import annotations

import asyncio

import click

from tracking_server import logs
from tracking_server.cli.options import SettingsCommand, with_settings
from tracking_server.config import LoggingSettings, LogLevel
from tracking_server.maintenance.database.plan import script
from tracking_server.maintenance.database.status import look, require_native
from tracking_server.settings_loader import Loaded


@click.command("plan", cls=SettingsCommand, listed=("database",))
@with_settings
@click.pass_context
def command(ctx: click.Context, loaded: Loaded) -> None:
    """Print the SQL that `db upgrade` would run, for reading; run nothing.

    The statements are those of MLflow's own migrations on a database without rows. Ends as `db status` does.
    """
    logs.setup(LoggingSettings(level=LogLevel.ERROR, format=loaded.config.logging.format))
    status = asyncio.run(look(loaded.config))
    for line in script(status, require_native(loaded.config)):
        click.echo(line)
    ctx.exit(status.state.exit_code)
