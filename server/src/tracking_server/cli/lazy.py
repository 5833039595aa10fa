"""Groups of commands that stand in modules of their own, each loaded when it is called."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import click


@dataclass(frozen=True)
class Entry:
    """A command of a group: the module whose attribute ``command`` it is, and its line in --help."""

    module: str
    line: str


class LazyGroup(click.Group):
    """A group that shows ``entries`` in its help without loading any of them."""

    entries: ClassVar[Mapping[str, Entry]]

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.entries:
            return None
        command: click.Command = importlib.import_module(self.entries[cmd_name].module).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.line) for name, entry in self.entries.items()])
