"""``tracking-server doctor``."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections import Counter
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tracking_server import logs
from tracking_server.cli.diagnosis import REASONS, Diagnosis, State, diagnose
from tracking_server.cli.options import SettingsCommand, with_settings
from tracking_server.config import LoggingSettings, LogLevel
from tracking_server.settings_loader import Loaded

_STYLES = {State.OK: "green", State.NOTE: "yellow", State.SKIPPED: "dim", State.FAILED: "bold red"}


@click.command("doctor", cls=SettingsCommand)
@with_settings
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
@click.option("--routes", is_flag=True, help="List every route with who answers it, instead of counting them.")
@click.option("--start-stock", is_flag=True, help="Also start stock MLflow once, and end it again; takes a while.")
@click.pass_context
def command(ctx: click.Context, loaded: Loaded, as_json: bool, routes: bool, start_stock: bool) -> None:
    """Say what is reachable, which schema the database has, and what is answered natively or by stock MLflow.

    Reads the configuration as `serve` does, and changes nothing. Ends with 0 when all that the server needs is
    there, with 5 when something cannot be reached, and with 3 when only the database's schema is wrong.
    """
    # What is wrong stands in the answer; the log of what is tried would only repeat it.
    logs.setup(LoggingSettings(level=LogLevel.ERROR, format=loaded.config.logging.format))
    diagnosis = asyncio.run(diagnose(loaded.config, start_stock=start_stock))
    if as_json:
        click.echo(json.dumps(_as_data(diagnosis, loaded.warnings), indent=2, ensure_ascii=False))
    else:
        _print(diagnosis, loaded.warnings, every_route=routes)
    ctx.exit(diagnosis.exit_code)


def _as_data(diagnosis: Diagnosis, warnings: tuple[str, ...]) -> dict[str, Any]:
    schema = diagnosis.schema
    return {
        "ok": diagnosis.exit_code == 0,
        "versions": diagnosis.versions,
        "warnings": list(warnings),
        "checks": [dataclasses.asdict(check) for check in diagnosis.checks],
        "schema": None
        if schema is None
        else {
            "state": schema.state,
            "head": schema.revision,
            "tested": schema.native,
            "head_of_installed_mlflow": schema.installed_head,
        },
        "routes": {
            "count": dict(Counter(route.answered_by for route in diagnosis.routes)),
            "forwarded_because": dict(Counter(route.reason for route in diagnosis.routes if route.reason)),
            "rows": [dataclasses.asdict(route) for route in diagnosis.routes],
        },
    }


def _print(diagnosis: Diagnosis, warnings: tuple[str, ...], *, every_route: bool) -> None:
    console = Console(highlight=False)
    console.print(", ".join(f"{name} {version}" for name, version in diagnosis.versions.items()), markup=False)
    for warning in warnings:
        console.print(Text(f"warning: {warning}", style="yellow"))
    table = Table("", "state", "", title="What is reachable", title_justify="left")
    for check in diagnosis.checks:
        table.add_row(check.name, Text(check.state, style=_STYLES[check.state]), Text(check.detail))
    console.print(table)
    console.print(_route_list(diagnosis) if every_route else _route_counts(diagnosis))


def _route_counts(diagnosis: Diagnosis) -> Table:
    table = Table("answered by", "routes", "why", title="Who answers the routes", title_justify="left")
    counts = Counter((route.answered_by, route.reason) for route in diagnosis.routes)
    for (answered_by, reason), count in sorted(counts.items(), key=lambda item: (item[0][0], item[0][1] or "")):
        table.add_row(answered_by, str(count), REASONS[reason] if reason else "")
    return table


def _route_list(diagnosis: Diagnosis) -> Table:
    table = Table("route", "methods", "answered by", "why", title="Who answers the routes", title_justify="left")
    for route in diagnosis.routes:
        why = REASONS[route.reason] if route.reason else ""
        table.add_row(Text(route.label), " ".join(route.methods), route.answered_by, why)
    return table
