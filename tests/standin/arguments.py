"""The arguments of a hook tool, as Juju's command line reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


class ToolError(Exception):
    """The hook tool fails: its message goes to stderr behind ``ERROR``, as Juju writes it."""


@dataclass(frozen=True)
class Arguments:
    positional: tuple[str, ...]
    options: dict[str, str] = field(default_factory=dict)

    def get(self, *names: str, default: str = "") -> str:
        """The value of the first of these options that was given."""
        return next((self.options[name] for name in names if name in self.options), default)

    def has(self, *names: str) -> bool:
        """Whether one of these flags was given and not set to false."""
        return any(self.options.get(name, "false").lower() != "false" for name in names)

    def first(self, what: str) -> str:
        """The first positional argument. Raises ToolError when there is none."""
        if not self.positional:
            raise ToolError(f"no {what} specified")
        return self.positional[0]


def parse(arguments: Sequence[str], valued: frozenset[str]) -> Arguments:
    """Splits options from the rest: those in ``valued`` take the next argument, all others are flags."""
    positional: list[str] = []
    options: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            positional += rest
            break
        if argument == "-" or not argument.startswith("-"):
            positional.append(argument)
            continue
        name, has_value, value = argument.partition("=")
        if has_value:
            options[name] = value
        elif name in valued:
            if not rest:
                raise ToolError(f"option needs an argument: {name}")
            options[name] = rest.pop(0)
        else:
            options[name] = "true"
    return Arguments(tuple(positional), options)
