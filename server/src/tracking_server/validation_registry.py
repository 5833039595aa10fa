"""MLflow's rules for the model registry: names, versions, aliases, tags, stages (mlflow/utils/validation.py)."""

from __future__ import annotations

import posixpath
import re

from tracking_server.errors import invalid_parameter
from tracking_server.validation import check_length, check_tag_name, invalid_value, missing_value

STAGES = ("None", "Staging", "Production", "Archived")
ACTIVE_STAGES = ("Staging", "Production")
LATEST_ALIAS = "latest"
IS_PROMPT_TAG = "mlflow.prompt.is_prompt"

_PROMPT_TEXT_TAG = "mlflow.prompt.text"
_MAX_TAG_KEY_LENGTH = 250
_MAX_TAG_VALUE_LENGTH = 100_000
_MAX_ALIAS_LENGTH = 255
_ALIAS = re.compile(r"^[\w\-]*$")
_VERSION_ALIAS = re.compile(r"^[vV]\d+$")
_CANONICAL_STAGES = {stage.lower(): stage for stage in STAGES}


def check_model_name(name: str) -> None:
    """A registered model's name; its length is left to the database, as in stock."""
    if not name.strip():
        raise missing_value("name")
    if "/" in name or ":" in name:
        raise invalid_parameter(f"Invalid model name '{name}'. Names cannot contain '/' or ':'.")
    normal = posixpath.normpath(name)
    if normal != name or normal == "." or normal.startswith(".."):
        raise invalid_value(
            "name",
            name,
            "Names may be treated as files in certain cases, and must not resolve to other names"
            f" when treated as such. This name would resolve to {normal!r}",
        )


def check_new_model_name(name: str) -> None:
    """The name that a registered model is to get instead of its own."""
    if not name.strip():
        raise missing_value("new_name")
    check_model_name(name)


def parse_version(text: str) -> int:
    """A model version as the number it is in the database."""
    try:
        return int(text)
    except ValueError:
        raise invalid_parameter(f"Parameter 'version' must be an integer, got '{text}'.") from None


def check_alias(alias: str) -> None:
    """The name of an alias that is looked up or deleted."""
    if not alias:
        raise invalid_parameter("Registered model alias name cannot be empty.")
    if not _ALIAS.match(alias):
        raise invalid_parameter(
            f"Invalid alias name: '{alias}'. Names may only contain alphanumerics, underscores (_), and dashes (-)."
        )
    check_length("Registered model alias name", _MAX_ALIAS_LENGTH, alias)


def check_new_alias(alias: str) -> None:
    """The name of an alias that is to be set: none that already has a meaning."""
    check_alias(alias)
    if alias.lower() == LATEST_ALIAS:
        raise invalid_parameter("'latest' alias name (case insensitive) is reserved.")
    if _VERSION_ALIAS.match(alias):
        raise invalid_parameter(f"Version alias name '{alias}' is reserved.")


def check_model_tag(key: str, value: str) -> None:
    """A registered model's tag."""
    check_tag_name(key)
    check_length("key", _MAX_TAG_KEY_LENGTH, key)
    check_length("value", _MAX_TAG_VALUE_LENGTH, value)


def check_version_tag(key: str, value: str) -> None:
    """A model version's tag; a prompt's text is the value of one."""
    check_tag_name(key)
    check_length("key", _MAX_TAG_KEY_LENGTH, key)
    if key == _PROMPT_TEXT_TAG and len(value) > _MAX_TAG_VALUE_LENGTH:
        raise invalid_parameter(f"Prompt text exceeds max length of {_MAX_TAG_VALUE_LENGTH} characters.")
    check_length("value", _MAX_TAG_VALUE_LENGTH, value)


def canonical_stage(stage: str) -> str:
    """The stage in the case in which it is stored."""
    found = _CANONICAL_STAGES.get(stage.lower())
    if found is None:
        raise invalid_parameter(f"Invalid Model Version stage: {stage}. Value must be one of {', '.join(STAGES)}.")
    return found


def is_prompt(tags: dict[str, str]) -> bool:
    """Whether a registered model or a version with these tags is a prompt."""
    return tags.get(IS_PROMPT_TAG, "false").lower() == "true"
