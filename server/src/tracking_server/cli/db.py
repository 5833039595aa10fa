"""``tracking-server db``: every command of it stands in a module of its own."""

from __future__ import annotations

import click

from tracking_server.cli.lazy import Entry, LazyGroup


class _Commands(LazyGroup):
    entries = {
        "status": Entry("tracking_server.cli.db_status", "Say where the schema stands, and what an upgrade would do."),
        "plan": Entry("tracking_server.cli.db_plan", "Print the SQL of an upgrade without running it."),
        "upgrade": Entry("tracking_server.cli.db_upgrade", "Bring the schema to the installed MLflow's."),
        "indexes": Entry("tracking_server.cli.db_indexes", "Create, drop or list this server's additional indexes."),
        "copy": Entry("tracking_server.cli.db_copy", "Copy everything from another database."),
    }


@click.command("db", cls=_Commands)
def command() -> None:
    """Look after MLflow's database. Every command takes the settings as `serve` does."""
