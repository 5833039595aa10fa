"""The two ways in which MLflow reads ``entity.key``: for runs, and for experiments and the registry.

Rules: SearchUtils._get_identifier, SearchExperimentsUtils._get_identifier and SearchModelUtils'
_get_model_search_identifier in mlflow/utils/search_utils.py.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from tracking_server.errors import MlflowError, invalid_parameter
from tracking_server.search.grammar import Kind, enumerated, trim_backticks, unquote

DATASET_KEYS = frozenset({"name", "digest", "context"})

_RUN_ENTITIES = {
    "metric": Kind.METRIC,
    "metrics": Kind.METRIC,
    "parameter": Kind.PARAMETER,
    "parameters": Kind.PARAMETER,
    "param": Kind.PARAMETER,
    "params": Kind.PARAMETER,
    "tag": Kind.TAG,
    "tags": Kind.TAG,
    "attribute": Kind.ATTRIBUTE,
    "attributes": Kind.ATTRIBUTE,
    "attr": Kind.ATTRIBUTE,
    "run": Kind.ATTRIBUTE,
    "dataset": Kind.DATASET,
    "datasets": Kind.DATASET,
}
_RUN_ENTITIES_SHOWN = ["metric", "parameter", "tag", "attribute", "dataset"]
_OTHER_ENTITIES = {"attribute": Kind.ATTRIBUTE, "tag": Kind.TAG, "tags": Kind.TAG}


def run_identifier(text: str, attributes: AbstractSet[str]) -> tuple[Kind, str]:
    """What ``text`` names among a run's attributes, metrics, params, tags and datasets.

    Raises INVALID_PARAMETER_VALUE for an entity, an attribute or a dataset key that does not exist.
    """
    entity, dot, rest = text.partition(".")
    if dot:
        entity = trim_backticks(entity)
        if entity not in _RUN_ENTITIES:
            raise invalid_parameter(f"Invalid entity type '{entity}'. Valid values are {_RUN_ENTITIES_SHOWN}")
        kind = _RUN_ENTITIES[entity]
    else:
        kind, rest = Kind.ATTRIBUTE, entity
    key = unquote(rest)
    if kind is Kind.ATTRIBUTE and key not in attributes:
        raise unknown_attribute(key, attributes)
    if kind is Kind.DATASET and key not in DATASET_KEYS:
        raise invalid_parameter(f"Invalid dataset key '{key}' specified. Valid keys are '{enumerated(DATASET_KEYS)}'")
    return kind, key


def experiment_identifier(text: str, attributes: AbstractSet[str]) -> tuple[Kind, str]:
    """What ``text`` names among an experiment's attributes and tags; the registry's order_by reads it so as well."""
    kind, rest = _attribute_or_tag(text)
    key = unquote(rest)
    if kind is Kind.ATTRIBUTE and key not in attributes:
        raise unknown_attribute(key, attributes)
    return kind, key


def registry_identifier(text: str, attributes: AbstractSet[str]) -> tuple[Kind, str]:
    """What ``text`` names in the registry's filters, where attributes must not be quoted."""
    kind, rest = _attribute_or_tag(text)
    if kind is Kind.ATTRIBUTE and rest not in attributes:
        raise unknown_attribute(rest, attributes)
    return kind, unquote(rest)


def _attribute_or_tag(text: str) -> tuple[Kind, str]:
    entity, dot, rest = text.partition(".")
    if not dot:
        return Kind.ATTRIBUTE, entity
    if entity not in _OTHER_ENTITIES:
        raise invalid_parameter(f"Invalid entity type '{entity}'. Valid entity types are {tuple(_OTHER_ENTITIES)}")
    return _OTHER_ENTITIES[entity], rest


def unknown_attribute(key: str, attributes: AbstractSet[str]) -> MlflowError:
    """The error for an attribute that cannot be searched for or ordered by."""
    return invalid_parameter(f"Invalid attribute key '{key}' specified. Valid keys are '{enumerated(attributes)}'")
