"""One item of order_by, as runs, experiments and the registry write it: ``<identifier> [ASC|DESC]``.

Rules: SearchUtils._parse_order_by_string in mlflow/utils/search_utils.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlparse import tokens as token_types
from sqlparse.sql import Identifier, Token

from tracking_server.errors import MlflowError, invalid_parameter
from tracking_server.search.grammar import Unreadable, read_statements, remember

_TIMESTAMP = "timestamp"
_PART = re.compile(
    r"""(?P<space>[ \t\r\n]+) | (?P<plain>[^ \t\r\n'"\\]+) | \\(?P<escaped>.) | '(?P<single>[^']*)' """
    r"""| "(?P<double>(?:[^"\\]|\\.)*)" """,
    re.DOTALL | re.VERBOSE,
)
_ESCAPED_IN_QUOTES = re.compile(r"""\\(["\\])""")


@remember
def parse_order_by(text: str) -> tuple[str, bool]:
    """The identifier, and whether the order is ascending.

    Raises INVALID_PARAMETER_VALUE for what is not one identifier with at most one direction.
    """
    written = _identifier_with_direction(text)
    try:
        words = shell_words(written.replace("`", '"'))
    except ValueError:
        # An odd number of quotes, over which stock crashes.
        raise _unparsable(text) from None
    if len(words) > 2:
        raise _unparsable(text)
    if len(words) < 2:
        return written.strip(), True
    direction = words[1].lower()
    if direction not in ("asc", "desc"):
        raise invalid_parameter(f"Invalid ordering key in order_by clause '{text}'.")
    return words[0].strip(), direction == "asc"


def shell_words(text: str) -> list[str]:
    """What ``shlex.split`` makes of ``text``, in time linear in its length. Raises ValueError for an open quote."""
    words: list[str] = []
    parts: list[str] | None = None
    position = 0
    while position < len(text):
        found = _PART.match(text, position)
        if found is None:
            raise ValueError("an open quote or a lone backslash")
        position = found.end()
        if found["space"] is None:
            part = found[found.lastindex or 0]
            parts = [] if parts is None else parts
            parts.append(_ESCAPED_IN_QUOTES.sub(r"\1", part) if found.lastgroup == "double" else part)
        elif parts is not None:
            words.append("".join(parts))
            parts = None
    return words if parts is None else [*words, "".join(parts)]


def _identifier_with_direction(text: str) -> str:
    try:
        statements = read_statements(text)
    except Unreadable:
        raise invalid_parameter(f"Error on parsing order_by clause '{text}'") from None
    if len(statements) != 1:
        raise _unparsable(text)
    tokens = statements[0].tokens
    first, last = tokens[0], tokens[-1]
    if len(tokens) == 1 and isinstance(first, Identifier):
        return str(first)
    # To sqlparse ``timestamp`` is the name of a type, so that it does not group it with its direction.
    if _is_timestamp(first):
        if len(tokens) == 1:
            return _TIMESTAMP
        if last.ttype is token_types.Keyword.Order and all(token.is_whitespace for token in tokens[1:-1]):
            return f"{_TIMESTAMP} {last.value}"
    raise _unparsable(text)


def _is_timestamp(token: Token) -> bool:
    return token.ttype is token_types.Name.Builtin and token.value == _TIMESTAMP


def _unparsable(text: str) -> MlflowError:
    return invalid_parameter(f"Invalid order_by clause '{text}'. Could not be parsed.")


def duplicate_fields(order_by: Sequence[str]) -> MlflowError:
    """The error for a field that stands twice in ``order_by``; stock forgets its code and answers 500."""
    return invalid_parameter(f"`order_by` contains duplicate fields: {list(order_by)}")
