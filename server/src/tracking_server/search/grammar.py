"""Filter text → clauses of sqlparse tokens, as far as all of MLflow's search grammars agree.

The rules are those of mlflow/utils/search_utils.py; sqlparse reads the text as it does there, so that what is
grouped, and therefore what is refused and how, is the same.
"""

from __future__ import annotations

import ast
import enum
import functools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import sqlparse
from sqlparse import tokens as token_types
from sqlparse.exceptions import SQLParseError
from sqlparse.sql import Comparison as ParsedComparison
from sqlparse.sql import Identifier, Parenthesis, Statement, Token

from tracking_server.errors import MlflowError, invalid_parameter

IS_NULL = "IS NULL"
IS_NOT_NULL = "IS NOT NULL"

_REMEMBERED_TEXTS = 512
_LONGEST_REMEMBERED = 4096

# A text of more words than this has more than sqlparse's 10,000 tokens, however it counts 1.5 or >=.
_MOST_WORDS = 40_000
_WORD = re.compile(r"""'[^']*'|"[^"]*"|`[^`]*`|\w+|\s+|.""")

T = TypeVar("T")


class Kind(enum.StrEnum):
    """What a comparison or an ordering is about."""

    ATTRIBUTE = "attribute"
    METRIC = "metric"
    PARAMETER = "parameter"
    TAG = "tag"
    DATASET = "dataset"


Value = str | int | float | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison of a filter. A tuple stands for a list in parentheses, None for IS (NOT) NULL."""

    kind: Kind
    key: str
    comparator: str
    value: Value


def text_value(comparison: Comparison) -> str | tuple[str, ...]:
    """The value of a comparison for which the parser lets nothing but strings through."""
    if not isinstance(comparison.value, str | tuple):
        raise TypeError(f"expected text in {comparison}")
    return comparison.value


@dataclass(frozen=True, slots=True)
class Clause:
    """The tokens of one comparison, without whitespace; ``text`` is how messages quote it."""

    tokens: tuple[Token, ...]
    text: str


def remember(parse: Callable[[str], T]) -> Callable[[str], T]:
    """``parse`` with its latest results kept by text.

    sqlparse takes most of a search's time, and a UI asks the same few filters again and again.
    """
    cached = functools.lru_cache(maxsize=_REMEMBERED_TEXTS)(parse)

    @functools.wraps(parse)
    def lookup(text: str) -> T:
        return cached(text) if len(text) <= _LONGEST_REMEMBERED else parse(text)

    return lookup


class Unreadable(Exception):
    """sqlparse gave up on a text: its depth, its number of tokens, or a flaw of sqlparse's own; says which."""


def read_statements(text: str) -> tuple[Statement, ...]:
    """What sqlparse makes of ``text``. Raises Unreadable."""
    if len(text) > _MOST_WORDS and sum(1 for _ in _WORD.finditer(text)) > _MOST_WORDS:
        # sqlparse would say so itself, but only after a minute over a megabyte.
        raise Unreadable(repr(SQLParseError("Maximum number of tokens exceeded (10000).")))
    try:
        return tuple(sqlparse.parse(text))
    except Exception as error:  # whatever its grouping trips over is the text's fault; stock answers it all alike
        raise Unreadable(repr(error)) from error


def read_filter(text: str, *, quoted_in_messages: bool = False) -> tuple[Clause, ...]:
    """The clauses of a filter whose parts are joined by AND.

    ``quoted_in_messages``: searching runs quotes each refused part in its message, the others do not.
    Raises INVALID_PARAMETER_VALUE for what is not one list of comparisons.
    """
    try:
        statements = read_statements(text)
    except Unreadable:
        raise invalid_parameter(f"Error on parsing filter '{text}'") from None
    if not statements:
        raise invalid_parameter(f"Invalid filter '{text}'. Could not be parsed.")
    if len(statements) > 1:
        raise invalid_parameter(
            f"Search filter contained multiple expression {text!r}. Provide AND-ed expression list."
        )
    parts = split_clauses(statements[0].tokens)
    refused = [str(part) for part in parts if not isinstance(part, Clause) and not is_keyword(part, "AND")]
    if refused:
        names = [f"'{part}'" for part in refused] if quoted_in_messages else refused
        raise invalid_parameter(f"Invalid clause(s) in filter string: {', '.join(names)}")
    return tuple(part for part in parts if isinstance(part, Clause))


def split_clauses(tokens: Iterable[Token]) -> list[Clause | Token]:
    """Comparisons as clauses, everything else (but whitespace) as it is.

    sqlparse groups ``a = 1`` but neither ``a IN (…)`` nor ``a IS NULL``; as in stock these are looked for in windows
    of three or four tokens that start at an identifier, and a window without a match is passed over whole.
    """
    rest = [token for token in tokens if not token.is_whitespace]
    parts: list[Clause | Token] = []
    position = 0
    while position < len(rest):
        window = rest[position : position + 4]
        length = 1
        if len(window) >= 3 and isinstance(window[0], Identifier):
            clause, length = _match_window(window)
            if clause is not None:
                parts.append(clause)
                position += length
                continue
        parts += [_as_clause(token) for token in window[:length]]
        position += length
    return parts


def _match_window(window: Sequence[Token]) -> tuple[Clause | None, int]:
    """The IN or IS NULL clause that the window opens with, if any, and how many tokens are dealt with."""
    first, second, third = window[:3]
    if is_keyword(second, "IN") and isinstance(third, Parenthesis):
        return _clause(first, second, third), 3
    if is_keyword(second, "IS"):
        if is_keyword(third, "NULL"):
            return _clause(first, _keyword(IS_NULL)), 3
        if is_keyword(third, "NOT NULL"):
            return _clause(first, _keyword(IS_NOT_NULL)), 3
    if (
        len(window) == 4
        and is_keyword(second, "NOT")
        and is_keyword(third, "IN")
        and isinstance(window[3], Parenthesis)
    ):
        return _clause(first, _keyword("NOT IN"), window[3]), 4
    return None, len(window)


def _as_clause(token: Token) -> Clause | Token:
    if not isinstance(token, ParsedComparison):
        return token
    return Clause(tuple(part for part in token.tokens if not part.is_whitespace), str(token))


def _clause(*tokens: Token) -> Clause:
    return Clause(tokens, "".join(str(token) for token in tokens))


def _keyword(value: str) -> Token:
    make: Callable[[object, str], Token] = Token
    return make(token_types.Keyword, value)


def is_keyword(token: Token, word: str) -> bool:
    """Whether ``token`` is the plain keyword ``word`` (upper case) in any case."""
    return token.ttype is token_types.Keyword and token.value.upper() == word


def sides(clause: Clause) -> tuple[str, str, Token | None]:
    """The identifier's text, the comparator as written, and the value's token (None for IS NULL, IS NOT NULL)."""
    tokens = clause.tokens
    null_test = len(tokens) == 2 and tokens[1].value.upper() in (IS_NULL, IS_NOT_NULL)
    if not null_test and len(tokens) != 3:
        raise invalid_parameter(f"Invalid comparison clause. Expected 3 tokens found {len(tokens)}")
    if not isinstance(tokens[0], Identifier):
        raise invalid_parameter(f"Invalid comparison clause. Expected 'Identifier' found '{tokens[0]}'")
    if null_test:
        return tokens[0].value, tokens[1].value.upper(), None
    return tokens[0].value, tokens[1].value, tokens[2]


def is_text(token: Token) -> bool:
    """Whether the token can be a quoted string; "…" and `…` are identifiers to SQL, ``unquote`` tells them apart."""
    return token.ttype is token_types.Literal.String.Single or isinstance(token, Identifier)


def is_number(token: Token) -> bool:
    """Whether the token is a decimal number."""
    return token.ttype in (token_types.Literal.Number.Integer, token_types.Literal.Number.Float)


def is_list(token: Token) -> bool:
    """Whether the token is something in parentheses."""
    return isinstance(token, Parenthesis)


def number(token: Token) -> int | float:
    """The number that ``is_number`` found."""
    if token.ttype is not token_types.Literal.Number.Integer:
        return float(token.value)
    try:
        return int(token.value)
    except ValueError:
        # Python refuses to read more than 4,300 digits; stock crashes.
        raise invalid_parameter("A number in the filter has too many digits") from None


def quoted_text(token: Token) -> str:
    """The string inside the token's ' or " quotes. Raises INVALID_PARAMETER_VALUE where there are none."""
    text: str = token.value
    if not _is_enclosed(text, "'") and not _is_enclosed(text, '"'):
        raise invalid_parameter(
            "Parameter value is either not quoted or unidentified quote "
            f"types used for string value {text}. Use either single or double quotes."
        )
    return text[1:-1]


def text_list(token: Token) -> tuple[str, ...]:
    """The strings of a list in parentheses, which stock reads as a Python literal."""
    items = literal(token.value)
    items = items if isinstance(items, tuple) else (items,)
    if not items:
        raise invalid_parameter(
            "While parsing a list in the query, expected a non-empty list of string values, but got empty list"
        )
    if not all(isinstance(item, str) for item in items):
        raise invalid_parameter(
            "While parsing a list in the query, expected string value, punctuation, "
            f"or whitespace, but got different type in list: {items}"
        )
    return items


def literal(text: str) -> object:
    """A Python literal. Raises INVALID_PARAMETER_VALUE for anything else."""
    ill_formed = "While parsing a list in the query, expected a non-empty list of string values, but got"
    try:
        return ast.literal_eval(text)
    except SyntaxError:
        raise invalid_parameter(f"{ill_formed} ill-formed list.") from None
    except (ValueError, TypeError, MemoryError, RecursionError):
        # Names, operators and very deep nesting, over which stock crashes.
        raise invalid_parameter(f"{ill_formed} something else than literals.") from None


def unquote(key: str) -> str:
    """A key without its ' or " quotes and then without its backticks, if it has them."""
    return trim_backticks(key[1:-1] if _is_enclosed(key, "'") or _is_enclosed(key, '"') else key)


def trim_backticks(text: str) -> str:
    """The text without a pair of enclosing backticks."""
    return text[1:-1] if _is_enclosed(text, "`") else text


def _is_enclosed(text: str, quote: str) -> bool:
    return len(text) >= 2 and text.startswith(quote) and text.endswith(quote)


def enumerated(names: Iterable[str]) -> str:
    """How messages show a set of names. Python's own order differs from process to process; this one does not."""
    return "{" + ", ".join(repr(name) for name in sorted(names)) + "}"


def unexpected_null_test() -> MlflowError:
    """For grammars without IS NULL, in which stock crashes over it."""
    return invalid_parameter("IS NULL / IS NOT NULL is not supported in this search")
