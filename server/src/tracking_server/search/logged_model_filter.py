"""The filter grammar of logged models, which is unlike that of runs: no aliases of entities, no strict quoting.

Rules: mlflow/utils/search_logged_model_utils.py.
"""

from __future__ import annotations

import re

from tracking_server.errors import invalid_parameter
from tracking_server.search.grammar import (
    Clause,
    Comparison,
    Kind,
    Unreadable,
    Value,
    literal,
    read_statements,
    remember,
    split_clauses,
)

ALIASES = {
    "creation_time": "creation_timestamp_ms",
    "creation_timestamp": "creation_timestamp_ms",
    "last_updated_timestamp": "last_updated_timestamp_ms",
}
"""Other names of attributes; they hold for attributes without a prefix only."""

NUMERIC = frozenset({"creation_timestamp_ms", "last_updated_timestamp_ms"})

_IDENTIFIER = re.compile(r"^([a-z]+)\.(.+)$")
_ENTITIES = {
    "attributes": Kind.ATTRIBUTE,
    "metrics": Kind.METRIC,
    "params": Kind.PARAMETER,
    "tags": Kind.TAG,
}
_PREFIXES = {kind: prefix for prefix, kind in _ENTITIES.items()}
_NUMBER_COMPARATORS = ("<", "<=", ">", ">=", "=", "!=")
_TEXT_COMPARATORS = ("=", "!=", "LIKE", "ILIKE", "IN", "NOT IN")


@remember
def parse_filter(text: str) -> tuple[Comparison, ...]:
    """The comparisons of a filter for logged models, comparators in upper case, attributes not yet looked up.

    A value of None is a literal in parentheses that is no list of strings. Raises INVALID_PARAMETER_VALUE for bad
    syntax and unfit comparators.
    """
    try:
        statements = read_statements(text)
    except Unreadable as error:
        raise invalid_parameter(f"Invalid filter string: {text!r}. {error}") from None
    if len(statements) != 1:
        raise invalid_parameter(f"Invalid filter string: {text!r}. Expected a single SQL expression.")
    comparisons = []
    for part in split_clauses(statements[0].tokens):
        if isinstance(part, Clause):
            comparisons.append(_comparison(part))
        elif part.value.strip().upper() != "AND":
            raise invalid_parameter(
                f"Invalid filter string: {text!r}. Expected a list of comparisons "
                "separated by 'AND' (e.g. 'metrics.loss > 0.1 AND params.lr = 0.01')."
            )
    return tuple(comparisons)


def _comparison(clause: Clause) -> Comparison:
    words = [str(token) for token in clause.tokens]
    if len(words) != 3:
        raise invalid_parameter(f"Invalid comparison: {clause.text}. Expected a comparison with 3 tokens.")
    identifier, comparator, value = words[0], words[1].upper(), words[2]
    kind, key = _entity(identifier)
    numeric = kind is Kind.METRIC or (kind is Kind.ATTRIBUTE and ALIASES.get(key, key) in NUMERIC)
    allowed = _NUMBER_COMPARATORS if numeric else _TEXT_COMPARATORS
    if comparator not in allowed:
        raise invalid_parameter(
            f"Invalid comparison operator for {_PREFIXES[kind]}.{key}: {comparator!r}. Expected one of {allowed}."
        )
    return Comparison(kind, key, comparator, _number(value) if numeric else _text(value))


def _entity(identifier: str) -> tuple[Kind, str]:
    match = _IDENTIFIER.match(identifier)
    if match is None:
        return Kind.ATTRIBUTE, ALIASES.get(identifier, identifier).strip("`")
    if match[1] not in _ENTITIES:
        raise invalid_parameter(f"Invalid entity type: {match[1]!r}. Expected one of {list(_ENTITIES)}.")
    return _ENTITIES[match[1]], match[2].strip("`")


def _number(text: str) -> float:
    """Whatever Python takes for a float, NaN and infinities included."""
    try:
        return float(text)
    except ValueError:
        # Stock crashes.
        raise invalid_parameter(f"Expected a number in the filter, found {text}") from None


def _text(text: str) -> Value:
    """A string, whatever its quotes; or the strings of a list in parentheses, None if these are no strings."""
    if not (text.startswith("(") and text.endswith(")")):
        return text.strip("'")
    items = literal(text)
    if isinstance(items, str):
        return (items,)
    if not isinstance(items, tuple | list) or not all(isinstance(item, str) for item in items):
        return None
    return tuple(items)
