"""What searching registered models and searching model versions have in common.

Rules: _update_query_to_exclude_prompts, _is_querying_prompt and the tag filters of
mlflow/store/model_registry/sqlalchemy_store.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlparse.sql import Token

from tracking_server.errors import invalid_parameter
from tracking_server.search.grammar import Comparison, Kind, is_text, quoted_text, text_value
from tracking_server.search.sql import StatementBuilder

WORKSPACE = "default"
"""The only workspace of a server without workspaces; requests that name another one are forwarded."""

_PROMPT_TAG = "mlflow.prompt.is_prompt"
_TAG_COMPARATORS = frozenset({"=", "!=", "LIKE", "ILIKE"})


def tag_value(token: Token) -> str:
    """The quoted string that a tag is compared with."""
    if not is_text(token):
        raise invalid_parameter(f"Expected a quoted string value for tag (e.g. 'my-value'). Got value {token.value}")
    return quoted_text(token)


@dataclass(frozen=True, slots=True)
class TagTable:
    """The tags of what is searched for (``s``): the table, and what tells that its row ``t`` belongs to ``s``."""

    name: str
    same_owner: str


def registry_conditions(
    builder: StatementBuilder,
    comparisons: Sequence[Comparison],
    attribute_condition: Callable[[StatementBuilder, Comparison], str],
    tags: TagTable,
) -> list[str]:
    """The conditions of all comparisons, and the one that hides prompts unless the filter asks for them.

    A name is a prompt's as soon as the tag stands on any row of that name, be it on another version.
    """
    wants_prompts = _wants_prompts(comparisons)
    conditions = []
    for comparison in comparisons:
        if comparison.kind is not Kind.TAG:
            conditions.append(attribute_condition(builder, comparison))
            continue
        if comparison.comparator not in _TAG_COMPARATORS:
            raise invalid_parameter(f"Invalid comparator for tag: {comparison.comparator}")
        if comparison.key != _PROMPT_TAG or wants_prompts:
            key = builder.text(comparison.key)
            test = f"t.key = {key} AND {builder.condition('t.value', comparison.comparator, text_value(comparison))}"
            conditions.append(builder.exists(f"FROM {tags.name} AS t WHERE {tags.same_owner} AND {test}"))
    if not wants_prompts:
        conditions.append(
            f"NOT EXISTS (SELECT 1 FROM {tags.name} AS p WHERE p.workspace = s.workspace AND p.name = s.name "  # noqa: S608 (a name of ours)
            f"AND p.key = '{_PROMPT_TAG}' AND p.value = 'true')"
        )
    return conditions


def _wants_prompts(comparisons: Sequence[Comparison]) -> bool:
    """Only the first comparison with the tag counts."""
    for each in comparisons:
        if each.kind is Kind.TAG and each.key == _PROMPT_TAG:
            return (each.comparator, str(each.value).lower()) in (("=", "true"), ("!=", "false"))
    return False
