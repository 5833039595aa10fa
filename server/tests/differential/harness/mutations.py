"""Tables of wrong values: every field of a valid body in turn becomes each value that its kind could be given."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from differential.harness.script import Call, send

MISSING = "(missing)"
# JSON texts, so that also what Python's json would not write can be sent.
TEXT = (
    MISSING,
    "null",
    '""',
    '" "',
    "1",
    "1.5",
    "true",
    "[]",
    '["x"]',
    "{}",
    '"a\\u0000b"',
    '"\\ud83d\\ude00 e\\u0301"',
)
INTEGER = (
    *(MISSING, "null", '""', '"x"', '"1"', '"1.0"', '"1.5"', '" 7"', "0", "-1", "1.0", "1.5", "1e3", '"1e3"', "true"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "1e400"),
    *("[]", "{}", "NaN", "Infinity", '"NaN"', "2147483648", '"9223372036854775807"'),
)
FLOAT = (
    *(MISSING, "null", '""', '"x"', '"1"', '"1.5"', "0", "-0.0", "1", "1e3", '"1e-3"', "true", "1e400", "-1e400"),
    *("1e308", "5e-324", "NaN", "Infinity", "-Infinity", '"NaN"', '"Infinity"', '"-Infinity"', '"nan"', '"inf"'),
    *("9007199254740993", "123456789012345678901234567890", "[]", "{}"),
)
LIST = (MISSING, "null", '""', '"x"', "1", "true", "{}", '{"key":"k"}', "[null]", '["x"]', "[1]", "[[]]", "[{}]")
ENUM = (MISSING, "null", '""', '"NONSENSE"', "0", "1", "2", "99", "-1", '"1"', "1.0", "1.5", "true", "[]", "{}")
BOOLEAN = (MISSING, "null", '""', '"true"', '"x"', "0", "1", "true", "false", "[]", "{}")


def mutations(
    path: str,
    body: Mapping[str, object],
    fields: Mapping[str, Sequence[str]],
    *,
    method: str = "POST",
) -> list[Call]:
    """One call per field and value. ``fields`` names places in ``body`` (``metrics.0.value``) and their values."""
    return [send(method, path, raw=mutated(body, place, value)) for place, values in fields.items() for value in values]


def mutated(body: Mapping[str, object], place: str, value: str) -> bytes:
    """``body`` as JSON text with ``value`` (a JSON text or MISSING) at ``place``."""
    return "".join(_write(body, place.split("."), value)).encode("utf-8", "surrogatepass")


def _write(body: object, place: Sequence[str], value: str) -> Iterator[str]:
    if isinstance(body, Mapping):
        entries = dict(body)
        if len(place) == 1:
            entries.setdefault(place[0], None)
        parts = []
        for key, item in entries.items():
            if [key] == list(place):
                if value != MISSING:
                    parts.append(f"{json.dumps(key)}: {value}")
            elif place and key == place[0]:
                parts.append(f"{json.dumps(key)}: {''.join(_write(item, place[1:], value))}")
            else:
                parts.append(f"{json.dumps(key)}: {json.dumps(item)}")
        yield "{" + ", ".join(parts) + "}"
    elif isinstance(body, Sequence) and not isinstance(body, str):
        parts = [
            "".join(_write(item, place[1:], value)) if str(index) == place[0] else json.dumps(item)
            for index, item in enumerate(body)
        ]
        yield "[" + ", ".join(parts) + "]"
    else:
        raise TypeError(f"{place} does not lead into {body!r}")
