"""The command ``tracking-server``; each command stands in a module of its own, loaded when it is called."""

from __future__ import annotations

import importlib
from typing import Any

import click

from tracking_server import __version__
from tracking_server.exit_codes import ExitCode, FatalError

# Each command by name, with its module below this package and its line in --help.
_COMMANDS = {
    "serve": ("serve", "Serve MLflow's API, UI and artifacts."),
    "config": ("config", "Check, show or begin a configuration."),
    "doctor": ("doctor", "Say what is reachable, and what is answered natively."),
}


class _Commands(click.Group):
    """Loads a command when it is called, and ends with the exit code that an error carries."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"tracking_server.cli.{_COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        from tracking_server.settings_loader import ConfigError

        try:
            return super().invoke(ctx)
        except ConfigError as error:
            for problem in error.problems:
                click.echo(f"error: {problem}", err=True)
            ctx.exit(ExitCode.BAD_CONFIGURATION)
        except FatalError as error:
            click.echo(f"error: {error}", err=True)
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
