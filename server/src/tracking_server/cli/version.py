"""``tracking-server version``."""

from __future__ import annotations

import json
from importlib import metadata

import click

from tracking_server import __version__


@click.command("version")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(as_json: bool) -> None:
    """Print the versions of this server and of the installed MLflow, and the database schema that they need."""
    from tracking_server.store.schema import head_of, installed_revisions

    versions = {
        "server": __version__,
        "mlflow": metadata.version("mlflow"),
        "schema": head_of(installed_revisions()),
    }
    if as_json:
        click.echo(json.dumps(versions))
    else:
        for name, version in versions.items():
            click.echo(f"{name} {version}")
