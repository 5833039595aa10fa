"""Requests for every native operation: one that fits, and ways to spoil it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from robustness.conftest import Target
from tracking_server.api.messages import Message
from tracking_server.api.operation import MESSAGES
from tracking_server.door.route import Route
from tracking_server.door.table import TABLE

_NAMED = re.compile(r"\{(\w+)(?::path)?\}")


@dataclass(frozen=True)
class Operation:
    """A native row of the route table that takes a message, under its first path."""

    route: Route
    message: type[Message]

    @property
    def method(self) -> str:
        return self.route.methods[0]

    @property
    def label(self) -> str:
        return self.route.label

    def path(self, target: Target) -> str:
        """The path with its parameters filled in by what exists."""
        return _NAMED.sub(lambda match: quote(str(target.values.get(match[1], "x"))), self.route.paths[0])

    def fitting(self, target: Target) -> dict[str, object]:
        """A value for every field."""
        return _fitting(self.message, target)

    def fields(self) -> list[str]:
        return [field.name for field in msgspec.structs.fields(self.message)]


# Deletions come last, so that what the others act on exists.
OPERATIONS = sorted(
    (Operation(route, MESSAGES[route.handler]) for route in TABLE if route.handler in MESSAGES),
    key=lambda operation: ("delete" in operation.label, operation.label),
)
READING = [operation for operation in OPERATIONS if operation.method == "GET"]
WRITING = [operation for operation in OPERATIONS if operation.method != "GET"]


# JSON as text, because Python writes neither a number of 5,000 digits nor half of a surrogate pair.
WRONG_VALUES = (
    *("null", "true", "false", "0", "-1", "1.5", "-0", "2147483648", str(2**63), str(-(2**63) - 1), str(2**64)),
    *("1e400", "-1e400", "1e-400", "9" * 5000, "NaN", "Infinity", "-Infinity", '"NaN"', '"1e400"', f'"{"9" * 5000}"'),
    *('""', '" "', '"x"', '"\\u0000"', '"a\\u0000b"', '"\\ud800"', '"\\udfff\\ud800"', '"%s%n"', '"\'; --"', '"é😀"'),
    *("[]", "[null]", "[[]]", "[{}]", '[1, "x", {}, null, true]', '["\\ud800"]', '["\\u0000"]', "[1e400]"),
    *("{}", '{"": 1}', '{"key": null}', '{"a": {"b": []}}', '{"\\ud800": "\\u0000"}'),
    *('[{"key": "\\u0000", "value": "\\ud800"}]', '[{"key": 1, "value": []}]', '[{"key": "k", "value": 1e400}]'),
)
LARGE_VALUES = (f'"{"k" * 1_000_000}"', "[" * 100_000 + "]" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000)
TOP_LEVELS = (
    *(b"", b" ", b"null", b"true", b"1", b"1e400", b"9" * 5000, b'"x"', b'""', b"[]", b"[{}]", b"{", b"}", b"{}{}"),
    *(b'{"a"', b'{"a":', b'{"a": 1,}', b"{'a': 1}", b"\xff\xfe\x00", b"\x00", b'"{}"', b'"[]"', b'"\\ud800"'),
    *(b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000, b'"' + b'\\"' * 1000, b"\xef\xbb\xbf{}"),
)
WORDS = (
    *("", "x", "0", "-1", "1.5", "1e400", "NaN", "true", "null", "[]", "{}", "9" * 5000, str(2**63), str(2**64)),
    *(
        "%00",
        "a%00b",
        "%ff",
        "%ed%a0%80",
        "%zz",
        "%",
        "%25",
        "%0a",
        "%0d%0aX:1",
        "+",
        "%2e%2e%2f",
        "é",
        "'",
        '"',
        "&",
        "=",
        ";",
    ),
)


def spoiled(operation: Operation, target: Target) -> Iterator[bytes]:
    """Bodies in which one field, of the message or of a message in it, has each of the wrong values."""
    fitting = operation.fitting(target)
    for name in operation.fields():
        others = json.dumps({other: value for other, value in fitting.items() if other != name})[1:-1]
        rest = f", {others}" if others else ""
        for value in WRONG_VALUES:
            yield f'{{"{name}": {value}{rest}}}'.encode()
        inside = fitting[name]
        if isinstance(inside, list) and inside and isinstance(inside[0], dict):
            for inner in inside[0]:
                kept = json.dumps({key: value for key, value in inside[0].items() if key != inner})[1:-1]
                tail = f", {kept}" if kept else ""
                for value in WRONG_VALUES:
                    yield f'{{"{name}": [{{"{inner}": {value}{tail}}}]{rest}}}'.encode()


def enlarged(operation: Operation, target: Target) -> Iterator[bytes]:
    """Bodies in which one field is very large or very deep; a key too long for anything stands there as well."""
    fitting = operation.fitting(target)
    yield json.dumps(fitting | {"k" * 1_000_000: 1}).encode()
    for name in operation.fields():
        others = json.dumps({other: value for other, value in fitting.items() if other != name})[1:-1]
        for value in LARGE_VALUES:
            yield (f'{{"{name}": {value}' + (f", {others}" if others else "") + "}").encode()


def _fitting(message: type[msgspec.Struct], target: Target) -> dict[str, object]:
    info = msgspec.inspect.type_info(message)
    assert isinstance(info, msgspec.inspect.StructType)
    return {field.name: _value(field.name, field.type, target) for field in info.fields}


def _value(name: str, kind: msgspec.inspect.Type, target: Target) -> object:
    if name in target.values:
        return target.values[name]
    if isinstance(kind, msgspec.inspect.UnionType):
        kind = next(each for each in kind.types if not isinstance(each, msgspec.inspect.NoneType))
    match kind:
        case msgspec.inspect.ListType():
            return [_value("", kind.item_type, target)]
        case msgspec.inspect.StructType():
            return _fitting(kind.cls, target)
        case msgspec.inspect.EnumType():
            return next(iter(kind.cls)).value
        case msgspec.inspect.IntType() | msgspec.inspect.FloatType():
            return 1
        case msgspec.inspect.BoolType():
            return True
        case msgspec.inspect.DictType():
            return {}
        case _:
            return name or "x"
