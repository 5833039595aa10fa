"""The command ``tracking-server``; each command stands in a module of its own, loaded when it is called."""

from __future__ import annotations

from typing import Any

import click

from tracking_server import __version__
from tracking_server.cli.lazy import Entry, LazyGroup
from tracking_server.exit_codes import FatalError

_COMMANDS = {
    "serve": Entry("tracking_server.cli.serve", "Serve MLflow's API, UI and artifacts."),
    "config": Entry("tracking_server.cli.config", "Check, show or begin a configuration."),
    "doctor": Entry("tracking_server.cli.doctor", "Say what is reachable, and what is answered natively."),
    "db": Entry("tracking_server.cli.db", "Look after the database: its schema, its upgrade, its indexes."),
    "gc": Entry("tracking_server.cli.gc", "Delete for good what was deleted in MLflow, with its artifacts."),
    "probe": Entry("tracking_server.cli.probe", "Ask the server that runs here whether it is alive or ready."),
    "version": Entry("tracking_server.cli.version", "Print the versions of the server, of MLflow and of its schema."),
}


class _Commands(LazyGroup):
    """Ends with the exit code that an error carries."""

    entries = _COMMANDS

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except FatalError as error:
            for line in str(error).splitlines():
                click.echo(f"error: {line}", err=True)
            ctx.exit(error.exit_code)


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="tracking-server")
def main() -> None:
    """An MLflow tracking server: every MLflow client, tutorial and UI page, on MLflow's own database schema.

    \b
    On this machine, everything below ./data:      tracking-server serve
    With a configuration file:                     tracking-server config example > tracking-server.toml
                                                   tracking-server config check --config tracking-server.toml
                                                   tracking-server serve --config tracking-server.toml
    """
