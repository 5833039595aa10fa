"""What a setting is: a typed field of a section that carries its help, its limits and its names.

``config.py`` declares every setting once with ``setting(...)``; the loader, the command line, ``config check`` and
the documentation read what was declared here.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import shlex
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

ENVIRONMENT_PREFIX = "TRACKING_SERVER_"
MASK = "*****"

T = TypeVar("T")


class InvalidValue(Exception):
    """A value that a setting does not allow; the message says what it allows."""


class Secret:
    """A text that shows itself only to ``reveal``: not in repr, str, logs or ``config show``."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


class SecretMap:
    """Names with secret texts, such as environment variables that carry API keys."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, str] | None = None) -> None:
        self._items = dict(items or {})

    def reveal(self) -> dict[str, str]:
        return dict(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def masked(self) -> dict[str, str]:
        return dict.fromkeys(self._items, MASK)

    def __repr__(self) -> str:
        return f"SecretMap({self.masked()!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretMap) and other._items == self._items

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """What a declaration adds to the type: help, range in ``unit``, a further check, stock's flag for the same.

    ``allowed`` describes what ``check`` accepts. A text of ``words`` is split as a shell would, others at commas.
    """

    help: str
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    check: Callable[[Any], bool] | None = None
    allowed: str = ""
    stock_flag: str | None = None
    words: bool = False
    existing_file: bool = False
    example: str | None = None


def setting(default: T, help: str, **rule: Any) -> T:
    """Declares a setting inside a section; ``rule`` is what ``Rule`` takes."""
    return dataclasses.field(default=default, metadata={"rule": Rule(help, **rule)})


class Kind(Protocol):
    """How the values of one type are read and written. ``read_*`` raise InvalidValue or ValueError."""

    secret: bool

    def allowed(self, rule: Rule) -> str: ...
    def read_text(self, text: str, rule: Rule) -> Any: ...
    def read_toml(self, value: object, rule: Rule) -> Any: ...
    def write_toml(self, value: Any) -> object:
        """The value as TOML would hold it, masked where it is secret."""
        ...


class TextValue(Protocol):
    """A type of its own that is written as one text (``database_uri.DatabaseUri``)."""

    ALLOWED: typing.ClassVar[str]

    @classmethod
    def parse(cls, text: str) -> Any: ...
    def masked(self) -> str: ...


class _Bool:
    secret = False

    def allowed(self, rule: Rule) -> str:
        return "true or false"

    def read_text(self, text: str, rule: Rule) -> bool:
        word = text.strip().lower()
        if word in ("true", "1", "yes", "on"):
            return True
        if word in ("false", "0", "no", "off"):
            return False
        raise InvalidValue(self.allowed(rule))

    def read_toml(self, value: object, rule: Rule) -> bool:
        if not isinstance(value, bool):
            raise InvalidValue(self.allowed(rule))
        return value

    def write_toml(self, value: bool) -> object:
        return value


class _Number:
    secret = False

    def __init__(self, whole: bool) -> None:
        self._whole = whole

    def allowed(self, rule: Rule) -> str:
        noun = "a whole number" if self._whole else "a number"
        unit = f" of {rule.unit}" if rule.unit else ""
        if rule.minimum is not None and rule.maximum is not None:
            return f"{noun}{unit} from {rule.minimum:g} to {rule.maximum:.15g}"
        return noun + unit

    def read_text(self, text: str, rule: Rule) -> float:
        try:
            number: float = int(text) if self._whole else float(text)
        except ValueError:
            raise InvalidValue(self.allowed(rule)) from None
        return self._within(number, rule)

    def read_toml(self, value: object, rule: Rule) -> float:
        if isinstance(value, bool) or not isinstance(value, int if self._whole else (int, float)):
            raise InvalidValue(self.allowed(rule))
        return self._within(value if self._whole else float(value), rule)

    def _within(self, number: float, rule: Rule) -> float:
        low = -math.inf if rule.minimum is None else rule.minimum
        high = math.inf if rule.maximum is None else rule.maximum
        if not math.isfinite(number) or not low <= number <= high:
            raise InvalidValue(self.allowed(rule))
        return number

    def write_toml(self, value: float) -> object:
        return value


class _Text:
    """Every type that is one text: ``build`` makes the value of it, ``write`` the text again."""

    def __init__(
        self, allowed: str, build: Callable[[str], Any], write: Callable[[Any], str], secret: bool = False
    ) -> None:
        self._allowed = allowed
        self._build = build
        self._write = write
        self.secret = secret

    def allowed(self, rule: Rule) -> str:
        return "the path of a file that exists" if rule.existing_file else rule.allowed or self._allowed

    def read_text(self, text: str, rule: Rule) -> Any:
        try:
            value = self._build(text)
            is_allowed = rule.check is None or rule.check(value)
        except ValueError:
            raise InvalidValue(self.allowed(rule)) from None
        if not is_allowed or "\0" in text or (rule.existing_file and not Path(text).is_file()):
            raise InvalidValue(self.allowed(rule))
        return value

    def read_toml(self, value: object, rule: Rule) -> Any:
        if not isinstance(value, str):
            raise InvalidValue(self.allowed(rule))
        return self.read_text(value, rule)

    def write_toml(self, value: Any) -> object:
        return self._write(value)


class _Texts:
    secret = False

    def allowed(self, rule: Rule) -> str:
        return rule.allowed or "a list of texts"

    def read_text(self, text: str, rule: Rule) -> tuple[str, ...]:
        if rule.words:
            try:
                return tuple(shlex.split(text))
            except ValueError:
                raise InvalidValue("words as a shell would split them, with every quote closed") from None
        return self._checked(tuple(part.strip() for part in text.split(",") if part.strip()), rule)

    def read_toml(self, value: object, rule: Rule) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise InvalidValue(self.allowed(rule))
        return self._checked(tuple(value), rule)

    def _checked(self, value: tuple[str, ...], rule: Rule) -> tuple[str, ...]:
        if rule.check is not None and not rule.check(value):
            raise InvalidValue(self.allowed(rule))
        return value

    def write_toml(self, value: tuple[str, ...]) -> object:
        return list(value)


class _Map:
    secret = True

    def allowed(self, rule: Rule) -> str:
        return "names with texts: a TOML table, or NAME=VALUE words"

    def read_text(self, text: str, rule: Rule) -> SecretMap:
        try:
            pairs = [word.partition("=") for word in shlex.split(text)]
        except ValueError:
            raise InvalidValue(self.allowed(rule)) from None
        if not all(equals for _, equals, _ in pairs):
            raise InvalidValue(self.allowed(rule))
        return self._checked({name: value for name, _, value in pairs}, rule)

    def read_toml(self, value: object, rule: Rule) -> SecretMap:
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            raise InvalidValue(self.allowed(rule))
        return self._checked(value, rule)

    def _checked(self, items: dict[str, str], rule: Rule) -> SecretMap:
        # What a process's environment cannot hold.
        if not all(name and "=" not in name and "\0" not in name + value for name, value in items.items()):
            raise InvalidValue(self.allowed(rule))
        return SecretMap(items)

    def write_toml(self, value: SecretMap) -> object:
        return value.masked()


def _choice(choices: type[enum.StrEnum]) -> Kind:
    by_name = {str(choice).lower(): choice for choice in choices}

    def build(text: str) -> enum.StrEnum:
        if text.strip().lower() not in by_name:
            raise ValueError(text)
        return by_name[text.strip().lower()]

    return _Text("one of " + ", ".join(choices), build, str)


_KINDS: dict[Any, Kind] = {
    bool: _Bool(),
    int: _Number(whole=True),
    float: _Number(whole=False),
    str: _Text("a text", str, str),
    Path: _Text("a path", Path, str),
    Secret: _Text("a secret text", Secret, lambda _: MASK, secret=True),
    SecretMap: _Map(),
    tuple[str, ...]: _Texts(),
}


def _kind_of(value_type: Any) -> Kind:
    if value_type in _KINDS:
        return _KINDS[value_type]
    if issubclass(value_type, enum.StrEnum):
        return _choice(value_type)
    text_value: type[TextValue] = value_type
    return _Text(text_value.ALLOWED, text_value.parse, lambda value: value.masked(), secret=True)


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """One setting as declared: where it stands, what it allows, and the names it goes by."""

    section: str
    name: str
    value_type: Any
    optional: bool
    default: Any
    rule: Rule
    kind: Kind

    @property
    def key(self) -> str:
        return f"{self.section}.{self.name}"

    @property
    def environment(self) -> str:
        return ENVIRONMENT_PREFIX + f"{self.section}_{self.name}".upper()

    @property
    def flag(self) -> str | None:
        """The flag, without ``server-`` for the first section; None for a bare secret, which ``ps`` would show."""
        if self.value_type in (Secret, SecretMap):
            return None
        words = self.name if self.section == "server" else f"{self.section}_{self.name}"
        return "--" + words.replace("_", "-")

    @property
    def allowed(self) -> str:
        return self.kind.allowed(self.rule)

    def read_text(self, text: str) -> Any:
        """The value of an environment variable or a flag; empty unsets an optional setting."""
        if self.optional and not text.strip():
            return None
        return self.kind.read_text(text, self.rule)

    def read_toml(self, value: object) -> Any:
        return self.kind.read_toml(value, self.rule)

    def write_toml(self, value: Any) -> object:
        """The value as TOML would hold it, masked where secret; None where it is unset."""
        return None if value is None else self.kind.write_toml(value)


def settings_of(config_type: type[Any]) -> tuple[Setting, ...]:
    """Every setting of a structure of sections, in the order in which they are declared."""
    found = []
    for section, section_type in section_types(config_type).items():
        hints = typing.get_type_hints(section_type)
        for field in dataclasses.fields(section_type):
            value_type, optional = _without_none(hints[field.name])
            rule: Rule = field.metadata["rule"]
            kind = _kind_of(value_type)
            found.append(Setting(section, field.name, value_type, optional, field.default, rule, kind))
    return tuple(found)


def section_types(config_type: type[Any]) -> dict[str, type[Any]]:
    """The sections of a structure by name, in order."""
    hints = typing.get_type_hints(config_type)
    return {field.name: hints[field.name] for field in dataclasses.fields(config_type)}


def _without_none(hint: Any) -> tuple[Any, bool]:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        rest = [each for each in typing.get_args(hint) if each is not type(None)]
        return rest[0], True
    return hint, False
