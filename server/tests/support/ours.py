"""The tracking server, started by its real command with a configuration file."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from support.processes import LOCALHOST, ServerProcess, http_status, plain_environment

Value = str | int | float | bool | Sequence[str]
Settings = Mapping[str, Mapping[str, Value]]


class TrackingServer(ServerProcess):
    """``tracking-server serve``. ``settings`` are sections of its TOML file, laid over the ones made here.

    ``eager`` starts stock MLflow with it, as by default; else the first request that needs it does, which saves tests
    seconds of both cores.
    ``stop`` sends SIGTERM and returns the exit status; ``kill`` takes the workers and stock MLflow with it.
    """

    name = "tracking-server"

    def __init__(
        self,
        folder: Path,
        *,
        database_uri: str,
        artifacts_destination: str,
        workers: int = 1,
        eager: bool = False,
        settings: Settings | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder)
        self._environment = dict(environment or {})
        own: Settings = {
            "server": {"host": LOCALHOST, "port": self.port, "workers": workers},
            "database": {"uri": database_uri},
            "artifacts": {"destination": artifacts_destination},
            "stock": {"start": "eager" if eager else "lazy"},
        }
        given = settings or {}
        sections = {name: {**own.get(name, {}), **given.get(name, {})} for name in own.keys() | given.keys()}
        self.config_path = folder / "tracking-server.toml"
        self.config_path.write_text(_toml(sections))

    def command(self) -> Sequence[str | Path]:
        return [Path(sys.executable).with_name("tracking-server"), "serve", "--config", self.config_path]

    def environment(self) -> Mapping[str, str]:
        return plain_environment(self._environment)

    def is_ready(self) -> bool:
        return http_status(self.port, "/health") == 200


def _toml(sections: Settings) -> str:
    lines: list[str] = []
    for section, values in sections.items():
        lines.append(f"[{section}]")
        # JSON's text, numbers, booleans and lists of text are TOML's too.
        lines += [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    return "\n".join(lines) + "\n"
