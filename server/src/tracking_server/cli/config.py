"""``tracking-server config``: check, show, example, reference."""

from __future__ import annotations

import click

from tracking_server import settings_text
from tracking_server.cli.options import SettingsCommand, with_settings
from tracking_server.settings_loader import Loaded


@click.group("config")
def command() -> None:
    """Check, show or begin a configuration."""


@command.command("check", cls=SettingsCommand)
@with_settings
def check(loaded: Loaded) -> None:
    """Name every wrong key, the value given and the allowed ones; exit code 2 when there is one.

    Reads the file, the environment and the flags exactly as `serve` does, and connects to nothing (`doctor` does).
    """
    for warning in loaded.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo("The configuration is valid.")


@command.command("show", cls=SettingsCommand)
@with_settings
def show(loaded: Loaded) -> None:
    """Print the settings in force as TOML, with the source of each that is not a default; secrets are masked."""
    click.echo(settings_text.shown(loaded), nl=False)


@command.command("example")
def example() -> None:
    """Print a TOML file with every setting explained and commented out."""
    click.echo(settings_text.example(), nl=False)


@command.command("reference")
def reference() -> None:
    """Print the reference of all settings as Markdown."""
    click.echo(settings_text.reference(), nl=False)
