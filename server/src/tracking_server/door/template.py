"""A path template of the route table, compiled: does a path fit it, and what do its ``{name}`` parts hold?

Paths are compared segment by segment (the pieces between slashes), so a match takes time linear in the path's
length; the regular expressions of stock's frameworks backtrack on templates with several ``{name:path}`` parts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_PARAMETER = re.compile(r"\{(?P<name>\w+)(?P<rest>:path)?\}(?P<suffix>[^/{}]*)")


class TemplateError(ValueError):
    """A template that this module cannot compile."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A segment that equals ``text``."""

    text: str


@dataclass(frozen=True, slots=True)
class One:
    """``{name}`` or ``{name}suffix``: one segment that holds at least a character before the suffix."""

    name: str
    suffix: str


@dataclass(frozen=True, slots=True)
class Many:
    """``{name:path}``: one segment or more, joined by slashes."""

    name: str


Part = Literal | One | Many


class Template:
    """One compiled template.

    ``may_be_empty`` says what ``{name:path}`` accepts: with True (Starlette) anything, the empty text included;
    with False (Werkzeug) a text that is not empty and does not begin with a slash. Where there are several
    ``{name:path}`` parts the earlier ones take as much as they can, as a regular expression's ``.*`` does.
    """

    def __init__(self, path: str, *, may_be_empty: bool) -> None:
        parts = [_part(segment) for segment in path.split("/")]
        many = [index for index, part in enumerate(parts) if isinstance(part, Many)]
        self.path = path
        self.literal = all(isinstance(part, Literal) for part in parts)
        self.prefix = _literal_prefix(parts)
        self.precedence = tuple((Literal, One, Many).index(type(part)) for part in parts)
        self._may_be_empty = may_be_empty
        self._head = parts[: many[0]] if many else parts
        self._tail = parts[many[-1] + 1 :] if many else []
        self._names = [part.name for part in parts if isinstance(part, Many)]
        self._separators = [_separator(path, parts[a + 1 : b]) for a, b in pairwise(many)]

    def match(self, segments: Sequence[str]) -> dict[str, str] | None:
        """The values of the template's parts in the path whose ``segments`` (split at "/") these are, or None."""
        start, end = len(self._head), len(segments) - len(self._tail)
        values: dict[str, str] = {}
        if self._names:
            if end <= start or not _fit(self._tail, segments[end:], values):
                return None
        elif end != start:
            return None
        if not _fit(self._head, segments[:start], values):
            return None
        if self._names and not self._divide(segments, start, end, values):
            return None
        return values

    def _divide(self, segments: Sequence[str], start: int, end: int, values: dict[str, str]) -> bool:
        """Share ``segments[start:end]`` among the {name:path} parts, the last one first."""
        for name, separator in zip(reversed(self._names[1:]), reversed(self._separators), strict=True):
            at = end - 2
            while at > start and segments[at] != separator:
                at -= 1
            if at <= start:
                return False
            values[name] = "/".join(segments[at + 1 : end])
            end = at
        values[self._names[0]] = "/".join(segments[start:end])
        return self._may_be_empty or all(values[name] and values[name][0] != "/" for name in self._names)


def _part(segment: str) -> Part:
    if "{" not in segment and "}" not in segment:
        return Literal(segment)
    found = _PARAMETER.fullmatch(segment)
    if found is None or (found["rest"] and found["suffix"]):
        raise TemplateError(f"cannot compile the path segment {segment}")
    return Many(found["name"]) if found["rest"] else One(found["name"], found["suffix"])


def _literal_prefix(parts: Sequence[Part]) -> str:
    texts: list[str] = []
    for part in parts:
        if not isinstance(part, Literal):
            break
        texts.append(part.text)
    return "/".join(texts)


def _separator(path: str, between: Sequence[Part]) -> str:
    if len(between) != 1 or not isinstance(between[0], Literal):
        raise TemplateError(f"between two {{name:path}} parts one literal segment must stand: {path}")
    return between[0].text


def _fit(parts: Sequence[Part], segments: Sequence[str], values: dict[str, str]) -> bool:
    """Whether each segment fits its part; fills ``values``. Both have the same length, or the answer is no."""
    if len(parts) != len(segments):
        return False
    for part, segment in zip(parts, segments, strict=True):
        match part:
            case Literal(text):
                if segment != text:
                    return False
            case One(name, suffix):
                if len(segment) <= len(suffix) or not segment.endswith(suffix):
                    return False
                values[name] = segment[: len(segment) - len(suffix)]
            case Many():
                return False
    return True
