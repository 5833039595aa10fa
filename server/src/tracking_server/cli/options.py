"""The command line's flags, made from the settings: one for each, grouped by section in ``--help``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from tracking_server.config import Config
from tracking_server.settings import Setting, section_types
from tracking_server.settings_loader import CONFIG_VARIABLE, SETTINGS, load


class SettingOption(click.Option):
    """A flag that sets ``setting``; its value stays text until the loader reads it."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        names = dict.fromkeys(name for name in (setting.flag, setting.rule.stock_flag) if name is not None)
        parameter = setting.key.replace(".", "__")
        if setting.value_type is bool:
            super().__init__([parameter, *map(_on_off, names)], default=None, help=_help(setting))
        else:
            super().__init__([parameter, *names], metavar=_metavar(setting), help=_help(setting))


class SettingsCommand(click.Command):
    """A command whose help lists the flags of the settings section by section.

    ``listed`` names the sections that matter to it, None all; the flags of the others work as well.
    """

    def __init__(self, *arguments: Any, listed: Sequence[str] | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._listed = section_types(Config).keys() if listed is None else listed

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        sections |= {_title(name): [] for name in self._listed}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            title = _title(parameter.setting.section) if isinstance(parameter, SettingOption) else "Options"
            if record is not None and title in sections:
                sections[title].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def with_settings(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command ``--config`` and every setting's flag; it gets the ``Loaded`` configuration as ``loaded``."""

    @functools.wraps(function)
    def wrapped(config_file: Path | None, **arguments: Any) -> Any:
        flags = {}
        for key in SETTINGS:
            value = arguments.pop(key.replace(".", "__"), None)
            if value is not None:
                flags[key] = str(value).lower() if isinstance(value, bool) else str(value)
        return function(loaded=load(config_file, flags=flags), **arguments)

    for each in reversed(SETTINGS.values()):
        if each.flag is not None:
            _add(wrapped, SettingOption(each))
    file_option = click.Option(
        ["config_file", "--config", "-c"],
        type=click.Path(path_type=Path),
        envvar=CONFIG_VARIABLE,
        metavar="FILE",
        help=f"TOML file with the settings (or {CONFIG_VARIABLE}). Flags override environment variables, and those the"
        " file.",
    )
    _add(wrapped, file_option)
    return wrapped


def _add(function: Callable[..., Any], option: click.Option) -> None:
    # What click's own decorators do; they cannot be used because they take no ready-made option.
    parameters: list[click.Parameter] = getattr(function, "__click_params__", [])
    function.__dict__["__click_params__"] = [*parameters, option]


def _on_off(flag: str) -> str:
    return f"{flag}/--no-{flag.removeprefix('--')}"


def _help(setting: Setting) -> str:
    default = setting.write_toml(setting.default)
    if default is None or default == [] or default == "" or setting.name == "allowed_hosts":
        return setting.rule.help
    return f"{setting.rule.help} [{str(default).lower() if isinstance(default, bool) else default}]"


def _metavar(setting: Setting) -> str:
    if setting.allowed.startswith("one of "):
        return "|".join(setting.allowed.removeprefix("one of ").split(", "))
    names: dict[Any, str] = {int: "NUMBER", float: "NUMBER", Path: "PATH", tuple[str, ...]: "LIST"}
    fallback = "URI" if setting.name.endswith("uri") or setting.name == "destination" else "TEXT"
    return (setting.rule.unit or names.get(setting.value_type, fallback)).upper()


def _title(section: str) -> str:
    return f"[{section}] {(section_types(Config)[section].__doc__ or '').rstrip('.')}"
