"""``tracking-server db copy``."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path

import click

from tracking_server.artifacts.destination import open_destination
from tracking_server.artifacts.store import ArtifactStore
from tracking_server.config import Config
from tracking_server.exit_codes import ExitCode, FatalError
from tracking_server.maintenance.copy.failures import CopyFailed
from tracking_server.maintenance.copy.filestore import TRASH, converted, holds_artifact, is_file_store
from tracking_server.maintenance.copy.locations import Relocation, absolute_location
from tracking_server.maintenance.copy.progress import Progress, progress_for_standard_error
from tracking_server.maintenance.copy.run import Artifacts, Order, copy
from tracking_server.settings import InvalidValue
from tracking_server.settings_database import DatabaseUri
from tracking_server.settings_loader import CONFIG_VARIABLE, load


@click.command("copy")
@click.option(
    "--from",
    "source",
    metavar="URI",
    help="The database to copy, or the folder of a file store (mlruns); default: none, only artifacts move.",
)
@click.option("--to", "target", metavar="URI", help="The database to copy into; default: the configuration's.")
@click.option(
    *("--config", "-c", "config_file"),
    type=click.Path(path_type=Path),
    envvar=CONFIG_VARIABLE,
    metavar="FILE",
    help="TOML file of the server that is to serve the copy: its database and its artifacts.",
)
@click.option("--artifacts-from", metavar="PATH_OR_URI", help="Also copy the artifacts below this folder or bucket.")
@click.option(
    "--artifacts-to", metavar="PATH_OR_URI", help="Where to copy them; default: the configuration's destination."
)
@click.option(
    "--resume/--restart",
    default=True,
    help="Go on with an unfinished copy (the default), or throw away what it has written.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
def command(
    source: str | None,
    target: str | None,
    config_file: Path | None,
    artifacts_from: str | None,
    artifacts_to: str | None,
    resume: bool,
    as_json: bool,
) -> None:
    """Copy an MLflow database, and its artifacts, to another place.

    The source stays as it is. The target must be empty, and becomes a database that a server accepts only when every
    row is there and equal. After a kill the same command goes on where it was. No server may run on either database.
    Without --from, only artifacts are copied, and the target's rows name their new place at the end.

    \b
    From the embedded database to PostgreSQL and S3, as a configuration names them:
        tracking-server db copy --from sqlite:////data/mlflow.db --artifacts-from /data/artifacts \\
            --config /etc/tracking-server/tracking-server.toml
    """
    if target is None and config_file is None:
        raise FatalError("say where to copy to: --to URI, or --config FILE", ExitCode.BAD_CONFIGURATION)
    config = _load(config_file, target, artifacts_to)
    if artifacts_from is None and (source is None or artifacts_to is not None):
        needing = "--artifacts-to" if artifacts_to is not None else "a copy without --from"
        raise FatalError(f"{needing} needs --artifacts-from", ExitCode.BAD_CONFIGURATION)
    progress = progress_for_standard_error()
    with _source(source, config, progress) as source_uri:
        order = Order(
            source=source_uri,
            target=config.database.connection,
            artifact_root=config.artifacts.root,
            artifacts=None if artifacts_from is None else _artifacts(config, artifacts_from, source),
            restart=not resume,
        )
        try:
            summary = copy(order, progress)
        except KeyboardInterrupt:
            raise CopyFailed("interrupted; the same command goes on where it was") from None
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(summary)))
    elif order.is_in_place:
        click.echo(
            f"Copied {summary.objects} artifacts ({summary.bytes} bytes) in {summary.seconds:.1f} s;"
            f" {summary.rows} locations in the database name their new place."
        )
    else:
        click.echo(
            f"Copied {summary.rows} rows of {summary.tables} tables and {summary.objects} artifacts"
            f" ({summary.bytes} bytes) in {summary.seconds:.1f} s; all were compared."
        )


def _load(file: Path | None, target: str | None, artifacts_to: str | None) -> Config:
    """The configuration with the command line's target in it."""
    flags = {"database.uri": target, "artifacts.destination": artifacts_to}
    with contextlib.suppress(InvalidValue):
        password = None if target is None else DatabaseUri.parse(target).password
        # The file's may be another database's.
        flags["database.password"] = None if password is None else password.reveal()
    return load(file, flags={key: value for key, value in flags.items() if value is not None}).config


@contextlib.contextmanager
def _source(given: str | None, config: Config, progress: Progress) -> Iterator[DatabaseUri]:
    """The database that ``given`` names, or one made of a file store; the target itself for None."""
    if given is None:
        yield config.database.connection
        return
    if is_file_store(given):
        with converted(Path(absolute_location(given)), progress) as uri:
            yield uri
        return
    try:
        uri = DatabaseUri.parse(given)
    except InvalidValue as error:
        raise FatalError(f"--from: allowed: the folder of a file store, {error}", ExitCode.BAD_CONFIGURATION) from None
    yield uri


def _artifacts(config: Config, given: str, database: str | None) -> Artifacts:
    old, new = absolute_location(given), absolute_location(config.artifacts.destination)
    if old == new:
        raise FatalError("the artifacts' source is their target", ExitCode.BAD_CONFIGURATION)
    if old.startswith("/") and not Path(old).is_dir():
        raise FatalError(f"{old} is not a folder", ExitCode.BAD_CONFIGURATION)
    source, relocation = _store(config, old), Relocation(old, new, given)
    if database is not None and is_file_store(database) and absolute_location(database) == old:
        return Artifacts((source, source.child(TRASH)), _store(config, new), relocation, holds_artifact)
    return Artifacts((source,), _store(config, new), relocation)


def _store(config: Config, location: str) -> ArtifactStore:
    """The store at ``location``, reached with the configuration's keys."""
    settings = dataclasses.replace(config.artifacts, destination=location)
    destination = open_destination(settings, {**os.environ, **config.stock.environment.reveal()})
    if not destination.is_native:
        raise FatalError(f"{location}: only stock MLflow can reach this artifact store", ExitCode.BAD_CONFIGURATION)
    return destination.store
