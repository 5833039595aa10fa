"""Reads the configuration: the TOML file, over it the environment, over that the command line's flags."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracking_server import settings_checks
from tracking_server.config import Config
from tracking_server.exit_codes import ExitCode, FatalError
from tracking_server.settings import ENVIRONMENT_PREFIX, InvalidValue, Setting, section_types, settings_of
from tracking_server.settings_checks import Problem

SETTINGS = {each.key: each for each in settings_of(Config)}
CONFIG_VARIABLE = ENVIRONMENT_PREFIX + "CONFIG"
DEFAULT_SOURCE = "default"

_SECTIONS = tuple(section_types(Config))
# Kubernetes sets such variables in every container for a Service that is named like our prefix.
_SERVICE_LINK = re.compile(r"_(SERVICE_HOST|SERVICE_PORT\w*|PORT(_\d+_(TCP|UDP|SCTP)\w*)?)")
_FILE_SUFFIX = "_file"


class ConfigError(FatalError):
    """The configuration is wrong; ``problems`` names every wrong key. No secret is in it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems), ExitCode.BAD_CONFIGURATION)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A checked configuration, where each setting came from (by key), and what deserves a warning."""

    config: Config
    sources: Mapping[str, str]
    warnings: tuple[str, ...]


def load(
    path: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
) -> Loaded:
    """The configuration from a TOML file, an environment (default: the process's) and flags (text by key).

    Relative paths are meant from the working directory. Raises ConfigError with every problem at once.
    """
    loader = _Loader()
    if path is not None:
        loader.read_file(path)
    loader.read_environment(os.environ if environment is None else environment)
    loader.read_flags(flags or {})
    return loader.finish()


class _Loader:
    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._sources: dict[str, str] = {}
        self._problems: list[Problem] = []
        self._warnings: list[str] = []

    def read_file(self, path: Path) -> None:
        try:
            document = tomllib.loads(path.read_text("utf-8"))
        except OSError as error:
            self._problems.append(Problem(str(path), f"cannot be read: {error.strerror}"))
            return
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            self._problems.append(Problem(str(path), f"is not TOML: {error}"))
            return
        layer: dict[str, Any] = {}
        for section, table in document.items():
            if section not in _SECTIONS:
                self._problems.append(Problem(section, _unknown("section", section, [*_SECTIONS, *SETTINGS])))
            elif not isinstance(table, dict):
                self._problems.append(Problem(section, f"{table!r} is not allowed; allowed: a table, [{section}]"))
            else:
                layer |= self._read_table(section, table)
        self._merge(layer, dict.fromkeys(layer, str(path)))
        if any(SETTINGS[key].kind.secret and _has_secret(value) for key, value in layer.items()):
            self._check_mode(path, str(path))

    def _read_table(self, section: str, table: dict[str, Any]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, value in table.items():
            key = f"{section}.{name}"
            if key not in SETTINGS:
                self._problems.append(Problem(key, _unknown("key", key, SETTINGS)))
                continue
            try:
                values[key] = SETTINGS[key].read_toml(value)
            except InvalidValue as error:
                self._problems.append(_not_allowed(SETTINGS[key], value, error))
        return values

    def read_environment(self, environment: Mapping[str, str]) -> None:
        known = {each.environment: each for each in SETTINGS.values()}
        layer: dict[str, str] = {}
        for name, text in environment.items():
            if name in known:
                layer[known[name].key] = text
            elif name.startswith(ENVIRONMENT_PREFIX) and name != CONFIG_VARIABLE and not _SERVICE_LINK.search(name):
                self._problems.append(Problem(name, _unknown("environment variable", name, known)))
        self._read_texts(layer, {key: SETTINGS[key].environment for key in layer})

    def read_flags(self, flags: Mapping[str, str]) -> None:
        self._read_texts(flags, {key: SETTINGS[key].flag or key for key in flags})

    def _read_texts(self, texts: Mapping[str, str], sources: Mapping[str, str]) -> None:
        layer: dict[str, Any] = {}
        for key, text in texts.items():
            try:
                layer[key] = SETTINGS[key].read_text(text)
            except InvalidValue as error:
                self._problems.append(_not_allowed(SETTINGS[key], text, error, sources[key]))
        self._merge(layer, sources)

    def _merge(self, layer: Mapping[str, Any], sources: Mapping[str, str]) -> None:
        for key, value in layer.items():
            partner = _partner(key)
            if partner is not None and value is not None:
                if layer.get(partner) is not None:
                    if key.endswith(_FILE_SUFFIX):
                        self._problems.append(Problem(partner, f"is set, and {key} too; set one of them"))
                    continue
                self._values.pop(partner, None)
                self._sources.pop(partner, None)
            self._values[key] = value
            self._sources[key] = sources[key]

    def finish(self) -> Loaded:
        self._read_secret_files()
        sections = {
            name: section_type(
                **{each.name: self._values[each.key] for each in settings_of_section(name) if each.key in self._values}
            )
            for name, section_type in section_types(Config).items()
        }
        config = Config(**sections)
        wrong = {problem.key for problem in self._problems}
        self._problems += [each for each in settings_checks.problems(config) if each.key not in wrong]
        if self._problems:
            raise ConfigError(self._problems)
        sources = {key: self._sources.get(key, DEFAULT_SOURCE) for key in SETTINGS}
        return Loaded(config, sources, (*self._warnings, *settings_checks.warnings(config)))

    def _read_secret_files(self) -> None:
        for key in [key for key in self._values if _is_secret_file(key)]:
            path: Path | None = self._values[key]
            if path is None:
                continue
            target = SETTINGS[key.removesuffix(_FILE_SUFFIX)]
            try:
                text = path.read_text("utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                self._problems.append(Problem(key, f"{path} cannot be read: {getattr(error, 'strerror', 'not UTF-8')}"))
                continue
            self._check_mode(path, key)
            try:
                if not text.strip():
                    raise InvalidValue(target.allowed)
                self._values[target.key] = target.read_text(text)
                self._sources[target.key] = str(path)
            except InvalidValue as error:
                self._problems.append(Problem(key, f"what {path} holds is not allowed; allowed: {error}"))

    def _check_mode(self, path: Path, key: str) -> None:
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            self._warnings.append(f"{key}: {path} holds a secret and others may read it (mode {mode:o}); chmod 600 it")


def settings_of_section(section: str) -> list[Setting]:
    """The settings of one section, in order."""
    return [each for each in SETTINGS.values() if each.section == section]


def _is_secret_file(key: str) -> bool:
    stem = SETTINGS.get(key.removesuffix(_FILE_SUFFIX))
    return key.endswith(_FILE_SUFFIX) and stem is not None and stem.kind.secret


def _partner(key: str) -> str | None:
    """The other one of ``password`` and ``password_file``; None for a setting that has no such pair."""
    if _is_secret_file(key):
        return key.removesuffix(_FILE_SUFFIX)
    file_key = key + _FILE_SUFFIX
    return file_key if file_key in SETTINGS and _is_secret_file(file_key) else None


def _has_secret(value: Any) -> bool:
    """Whether a value of a secret kind holds one: a database URI may have no password in it."""
    text = getattr(value, "text", None)
    return bool(value) if text is None else value.password is not None or value.dialect in ("mysql", "mssql")


def _unknown(noun: str, name: str, known: Iterable[str]) -> str:
    candidates = list(known)
    near = difflib.get_close_matches(name, candidates, n=1, cutoff=0.75)
    if not near:
        last = name.rpartition(".")[2]
        near = [each for each in candidates if each.rpartition(".")[2] == last][:1]
    if not near:
        near = difflib.get_close_matches(name, candidates, n=1, cutoff=0.5)
    return f"unknown {noun}" + (f"; did you mean {near[0]}?" if near else "")


def _not_allowed(setting: Setting, value: object, error: InvalidValue, source: str | None = None) -> Problem:
    shown = repr(value)
    if setting.kind.secret:
        scheme = re.match(r"[a-z0-9+]+://", value) if isinstance(value, str) else None
        shown = f"'{scheme[0]}…'" if scheme else "the value given (not shown: it may be secret)"
    where = f" in {source}" if source else ""
    return Problem(setting.key, f"{shown}{where} is not allowed; allowed: {error}")
