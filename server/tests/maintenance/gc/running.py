"""Both programs that collect, and what they are given and leave."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.ours import Value
from support.processes import plain_environment


@dataclass(frozen=True)
class Done:
    """How a call ended: exit code, the JSON summary if there is one, and standard error."""

    code: int
    summary: dict[str, Any]
    errors: str


class Gc:
    """Calls ``tracking-server gc --json`` with a configuration file for a database and a destination."""

    def __init__(
        self, folder: Path, database: str, destination: str, artifact_settings: Mapping[str, Value] | None = None
    ) -> None:
        self.config = folder / "gc.toml"
        sections: dict[str, Mapping[str, Value]] = {
            "database": {"uri": database},
            "artifacts": {"destination": destination, **(artifact_settings or {})},
        }
        # JSON's texts, numbers and booleans are TOML's too.
        lines = [
            f"[{section}]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
            for section, values in sections.items()
        ]
        self.config.write_text("".join(lines))
        self.config.chmod(0o600)

    def command(self, *arguments: str) -> list[str]:
        program = Path(sys.executable).with_name("tracking-server")
        return [str(program), "gc", "--config", str(self.config), "--json", *arguments]

    def __call__(self, *arguments: str) -> Done:
        done = subprocess.run(
            self.command(*arguments), env=plain_environment(), capture_output=True, text=True, check=False
        )
        summary = json.loads(done.stdout) if done.stdout.startswith("{") else {}
        return Done(done.returncode, summary, done.stderr)


class StockGc:
    """``mlflow gc`` in this process: MLflow takes seconds to import."""

    def __init__(self, database: str, environment: Mapping[str, str]) -> None:
        self._database = database
        self._environment = environment

    def __call__(self, *arguments: str) -> str | None:
        """Collects; returns the message of its refusal, or None."""
        import mlflow
        from click.testing import CliRunner
        from mlflow.cli import gc

        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**self._environment, "MLFLOW_TRACKING_URI": ""}.items():
                patch.setenv(name, value)
            uris = ["--backend-store-uri", self._database, "--tracking-uri", self._database]
            result = CliRunner().invoke(gc, [*uris, *arguments])
            mlflow.set_tracking_uri("")
        return None if result.exception is None else str(result.exception)


def files_below(folder: Path) -> dict[str, bytes]:
    """The content of all files below a folder, by path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def write_files(folder: Path, paths: Sequence[str]) -> None:
    """Writes files with their own paths as content."""
    for path in paths:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(path)
