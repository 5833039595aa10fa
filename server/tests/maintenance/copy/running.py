"""Running copies: in this process where a test is about values, by the real command where it is about the rest."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.processes import plain_environment
from tracking_server.maintenance.copy.locations import Relocation
from tracking_server.maintenance.copy.progress import Lines
from tracking_server.maintenance.copy.run import Artifacts, Order, Summary, copy
from tracking_server.settings_database import DatabaseUri


def copy_here(source: str, target: str, *, artifacts: Artifacts | None = None, restart: bool = False) -> Summary:
    """Copies in this process."""
    order = Order(DatabaseUri.parse(source), DatabaseUri.parse(target), "mlflow-artifacts:/", artifacts, restart)
    return copy(order, Lines())


def relocation_only(old: str, new: str, folder: Path) -> Artifacts:
    """No artifacts, but the change of the rows that a copy of them makes."""
    from tracking_server.artifacts.disk import DiskStore

    folder.mkdir(exist_ok=True)
    return Artifacts((DiskStore(folder / "from"),), DiskStore(folder / "to"), Relocation(old, new))


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def summary(self) -> dict[str, Any]:
        """The JSON object on its standard output."""
        found: dict[str, Any] = json.loads(self.out)
        return found


def command(*arguments: str | Path) -> list[str]:
    """The command line of ``tracking-server db copy``."""
    return [str(Path(sys.executable).with_name("tracking-server")), "db", "copy", *map(str, arguments)]


def run_command(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> Ended:
    """Runs ``tracking-server db copy`` to its end."""
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, check=False, env=plain_environment(environment)
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def write_config(path: Path, database: str, destination: str, artifacts: Mapping[str, str] | None = None) -> Path:
    """A configuration file of the server that is to serve the copy."""
    lines: Sequence[str] = (
        f"[database]\nuri = {json.dumps(database)}",
        f"[artifacts]\ndestination = {json.dumps(destination)}",
        *(f"{name} = {json.dumps(value)}" for name, value in (artifacts or {}).items()),
    )
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)
    return path
