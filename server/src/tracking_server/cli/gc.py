"""``tracking-server gc``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from tracking_server import logs
from tracking_server.cli.options import SettingsCommand, with_settings
from tracking_server.config import LogLevel
from tracking_server.exit_codes import ExitCode
from tracking_server.maintenance.gc.summary import Kept
from tracking_server.settings_loader import Loaded

if TYPE_CHECKING:
    from tracking_server.maintenance.gc.orphans import OrphanReport

_SHOWN_KEPT = 20


def _ids(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """The ids of a list with commas; as with stock, an empty text is no list."""
    return tuple(each.strip() for each in value.split(",")) if value else None


@click.command("gc", cls=SettingsCommand, listed=("database", "artifacts", "gc"))
@with_settings
@click.option("--run-ids", metavar="LIST", callback=_ids, help="Deleted runs to collect, instead of all.")
@click.option("--experiment-ids", metavar="LIST", callback=_ids, help="Deleted experiments to collect, instead of all.")
@click.option("--logged-model-ids", metavar="LIST", callback=_ids, help="Deleted logged models, instead of all.")
@click.option("--jobs", is_flag=True, help="Collect finished jobs, too: all, or those older than --older-than.")
@click.option("--job-ids", metavar="LIST", callback=_ids, help="Finished jobs to collect.")
@click.option(
    "--only",
    is_flag=True,
    help="Collect nothing but what the ids name. Without it a list narrows its own kind alone, as with `mlflow gc`:"
    " --experiment-ids leaves the deleted runs and models of all other experiments to be collected.",
)
@click.option("--dry-run", is_flag=True, help="Count what would go, exactly, and change nothing.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="NUMBER",
    help="Collect at most so many runs, models, experiments and jobs together; the rest stays for the next time.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=1),
    metavar="NUMBER",
    help="Delete at most so many rows and artifacts a second.",
)
@click.option(
    "--orphans",
    is_flag=True,
    help="Collect nothing; report artifacts that no row names, and rows whose artifacts are gone.",
)
@click.option("--delete-orphans", is_flag=True, help="As --orphans, and delete those artifacts.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
@click.pass_context
def command(
    ctx: click.Context,
    loaded: Loaded,
    run_ids: tuple[str, ...] | None,
    experiment_ids: tuple[str, ...] | None,
    logged_model_ids: tuple[str, ...] | None,
    jobs: bool,
    job_ids: tuple[str, ...] | None,
    only: bool,
    dry_run: bool,
    limit: int | None,
    rate: float | None,
    orphans: bool,
    delete_orphans: bool,
    as_json: bool,
) -> None:
    """Delete for good what was deleted in MLflow: runs, logged models and experiments, with their artifacts.

    Takes what `mlflow gc` takes and leaves what it leaves, in short transactions beside running servers. It may be
    ended at any time: the next call goes on. What cannot be deleted, such as runs in a bucket that refuses us, is
    kept and named, and the command ends with 15.

    \b
    See what would go:        tracking-server gc --config tracking-server.toml --older-than 30d --dry-run
    One deleted experiment:   tracking-server gc --config tracking-server.toml --experiment-ids 7 --only
    """
    # Here, because they load the drivers.
    from tracking_server.maintenance.gc.collect import Limits
    from tracking_server.maintenance.gc.command import run, run_orphans
    from tracking_server.maintenance.gc.selection import Request

    config = loaded.config
    logs.setup(replace(config.logging, level=max(LogLevel.WARNING, config.logging.level, key=list(LogLevel).index)))
    for warning in loaded.warnings:
        click.echo(f"warning: {warning}", err=True)
    if orphans or delete_orphans:
        report = asyncio.run(run_orphans(config, delete=delete_orphans and not dry_run))
        _tell_kept(report.kept)
        click.echo(json.dumps(report.as_data()) if as_json else _described(report))
        ctx.exit(ExitCode.GC_INCOMPLETE if report.kept else ExitCode.OK)
    request = Request(
        older_than=config.gc.older_than,
        run_ids=run_ids,
        experiment_ids=experiment_ids,
        logged_model_ids=logged_model_ids,
        jobs=jobs,
        job_ids=job_ids,
        only=only,
    )
    summary = asyncio.run(run(config, request, Limits(limit, rate), dry_run=dry_run))
    _tell_kept(summary.kept)
    click.echo(json.dumps(summary.as_data()) if as_json else summary.sentence().capitalize() + ".")
    ctx.exit(ExitCode.GC_INCOMPLETE if summary.kept else ExitCode.OK)


def _tell_kept(kept: Sequence[Kept]) -> None:
    for each in kept[:_SHOWN_KEPT]:
        click.echo(f"kept {each.id}: {each.reason}", err=True)
    if len(kept) > _SHOWN_KEPT:
        click.echo(f"kept {len(kept) - _SHOWN_KEPT} more; --json names all", err=True)


def _described(report: OrphanReport) -> str:
    lines = [f"{each.place}: {each.objects} artifacts of {each.bytes} bytes" for each in report.orphans]
    lines += [f"{each.id}: nothing at {each.location}" for each in report.missing]
    verb = "Deleted" if report.deleted else "Found"
    totals = report.as_data()
    lines.append(
        f"{verb} {len(report.orphans)} orphans, {totals['objects']} artifacts of {totals['bytes']} bytes;"
        f" {len(report.missing)} rows name artifacts that are gone."
    )
    return "\n".join(lines)
