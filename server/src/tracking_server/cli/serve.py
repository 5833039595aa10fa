"""``tracking-server serve``."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from pathlib import Path

import click

from tracking_server import logs
from tracking_server.cli.options import SettingsCommand, with_settings
from tracking_server.config import ArtifactKind, Config, DatabaseKind, LogFormat
from tracking_server.exit_codes import ExitCode, FatalError
from tracking_server.settings_loader import Loaded

logger = logging.getLogger(__name__)


@click.command("serve", cls=SettingsCommand)
@with_settings
@click.pass_context
def command(ctx: click.Context, loaded: Loaded) -> None:
    """Serve MLflow's API, UI and artifacts.

    Without any setting it listens on http://127.0.0.1:5000 and keeps everything below ./data: the database in
    data/mlflow.db, artifacts in data/artifacts. Ctrl-C or SIGTERM ends it after the requests it has accepted.

    \b
    A team's server:   tracking-server serve --host 0.0.0.0 --allowed-hosts mlflow.example.com \\
                         --database-uri postgresql://mlflow@db.example.com/mlflow \\
                         --database-password-file /run/secrets/db --artifacts-destination s3://mlflow/artifacts

    Every flag can stand in a TOML file (see `tracking-server config example`) or in an environment variable that is
    named like it: --database-uri is TRACKING_SERVER_DATABASE_URI, --port is TRACKING_SERVER_SERVER_PORT.
    """
    config = loaded.config
    logs.setup(config.logging)
    for warning in loaded.warnings:
        logger.warning("%s", warning)
    create_data_folders(config)

    def welcome(port: int) -> None:
        if config.logging.format is LogFormat.PLAIN:
            # Nobody may be reading, which is no reason to stop serving.
            with contextlib.suppress(OSError):
                click.echo(_welcome(replace(config.server, port=port).url))

    # Here, so that the other commands do not load the server.
    from tracking_server import supervisor

    ctx.exit(supervisor.run(config, welcome))


def create_data_folders(config: Config) -> None:
    """Creates the folders of an SQLite file and of artifacts on disk, for our user alone.

    A folder that exists stays as it is. Raises FatalError where one cannot be created.
    """
    folders: list[Path] = []
    if config.database.kind is DatabaseKind.SQLITE:
        folders.append(config.database.sqlite_path().parent)
    if config.artifacts.kind is ArtifactKind.LOCAL:
        folders.append(config.artifacts.local_path())
    for folder in folders:
        # One by one, because mkdir gives its mode to the last folder alone.
        for each in reversed((folder, *folder.parents)):
            try:
                each.mkdir(mode=0o700, exist_ok=True)
            except OSError as error:
                if not each.is_dir():
                    message = f"the folder {each} cannot be created: {error.strerror}"
                    raise FatalError(message, ExitCode.BAD_CONFIGURATION) from error


def _welcome(url: str) -> str:
    return (
        f"\nMLflow is served at {url} (Ctrl-C ends it). In a notebook:\n\n"
        f'    import mlflow\n    mlflow.set_tracking_uri("{url}")\n'
    )
