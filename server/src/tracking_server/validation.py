"""MLflow's rules for names, keys, values and batches, with its messages (mlflow/utils/validation.py)."""

from __future__ import annotations

import json
import logging
import posixpath
import re
from functools import lru_cache

from tracking_server.errors import MlflowError, invalid_parameter

MAX_PARAMS_TAGS_PER_BATCH = 100
MAX_METRICS_PER_BATCH = 1000
MAX_ENTITIES_PER_BATCH = 1000
MAX_PARAM_VALUE_LENGTH = 6000
MAX_TAG_VALUE_LENGTH = 8000
MAX_ENTITY_KEY_LENGTH = 250
MAX_EXPERIMENT_NAME_LENGTH = 500
MAX_EXPERIMENT_TAG_KEY_LENGTH = 250
MAX_EXPERIMENT_TAG_VALUE_LENGTH = 20000
MAX_DATASET_NAME_LENGTH = 500
MAX_DATASET_DIGEST_LENGTH = 36
MAX_DATASET_SOURCE_LENGTH = 65535
MAX_DATASET_SCHEMA_LENGTH = 1048575
MAX_DATASET_PROFILE_LENGTH = 16777215
MAX_INPUT_TAG_KEY_LENGTH = 255
MAX_INPUT_TAG_VALUE_LENGTH = 500

_logger = logging.getLogger(__name__)
_NAME = re.compile(r"^[/\w.\- :]*$")
_RUN_ID = re.compile(r"^[a-zA-Z0-9][\w\-]{0,255}$")
_BAD_IN_LOGGED_MODEL_NAMES = ("/", ":", ".", "%", '"', "'")
# Names without slashes and dots need no look at what they resolve to as paths.
_PLAIN_NAME = re.compile(r"[\w\- :]+\Z")


def invalid_value(path: str, value: object, hint: str | None = None) -> MlflowError:
    """``Invalid value … for parameter … supplied``, in MLflow's words."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return invalid_parameter(
        f"Invalid value {text} for parameter '{path}' supplied" + (f": {hint}" if hint is not None else ".")
    )


def missing_value(path: str) -> MlflowError:
    """``Missing value for required parameter``."""
    return invalid_parameter(f"Missing value for required parameter '{path}'.")


def join_path(path: str, name: str) -> str:
    """The path of a field inside another: ``metrics[0]`` and ``name`` make ``metrics[0].name``."""
    return f"{path}.{name}" if path else name


def check_name(name: str, path: str) -> None:
    """A metric's, parameter's or tag's name: its characters, and no path that resolves to another name."""
    if _PLAIN_NAME.match(name):
        return
    if not _NAME.match(name):
        raise invalid_value(
            path,
            name,
            "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.),"
            " spaces ( ), colon(:) and slashes (/).",
        )
    normal = posixpath.normpath(name)
    if normal != name or normal == "." or normal.startswith(("..", "/")):
        raise invalid_value(
            path,
            name,
            "Names may be treated as files in certain cases, and must not resolve to other names"
            f" when treated as such. This name would resolve to {normal!r}",
        )


def is_sound_key(key: str) -> bool:
    """Whether nothing is wrong with the key of a metric, parameter or tag."""
    return len(key) <= MAX_ENTITY_KEY_LENGTH and _is_sound_name(key)


@lru_cache(maxsize=4096)  # trainers log the same few keys again and again
def _is_sound_name(name: str) -> bool:
    try:
        check_name(name, "")
    except MlflowError:
        return False
    return True


def check_length(what: str, limit: int, value: str | None) -> None:
    """Raises INVALID_PARAMETER_VALUE for a value of more than ``limit`` characters."""
    if value is not None and len(value) > limit:
        raise invalid_parameter(f"'{what}' exceeds the maximum length of {limit} characters")


def truncated(what: str, limit: int, value: str) -> str:
    """The value cut to ``limit`` characters, as stock does by default (MLFLOW_TRUNCATE_LONG_VALUES)."""
    if len(value) <= limit:
        return value
    _logger.warning("%s of %d characters is truncated to %d", what, len(value), limit)
    return value[:limit]


def check_metric(key: str | None, value: float | None, timestamp: int, path: str = "") -> None:
    """A metric as it is logged; ``timestamp`` is in milliseconds."""
    if key is None:
        raise invalid_value(join_path(path, "name"), key, "Metric name cannot be None. A key name must be provided.")
    check_name(key, join_path(path, "name"))
    if value is None:
        raise missing_value(join_path(path, "value"))
    if timestamp < 0:
        raise invalid_value(
            join_path(path, "timestamp"),
            timestamp,
            f"metric '{key}' (value={value}). Timestamp must be a nonnegative long (64-bit integer) ",
        )
    check_length("Metric name", MAX_ENTITY_KEY_LENGTH, key)


def checked_param(key: str | None, value: str, path: str = "") -> tuple[str, str]:
    """A parameter as it is stored: its key checked, its value cut to length."""
    if key is None:
        raise invalid_value(join_path(path, "key"), "", "A key name must be provided.")
    check_name(key, join_path(path, "key"))
    check_length("Param key", MAX_ENTITY_KEY_LENGTH, key)
    return key, truncated("Param value", MAX_PARAM_VALUE_LENGTH, value)


def check_tag_name(key: str | None, path: str = "key") -> str:
    """The key of any tag."""
    if key is None:
        raise missing_value(path)
    check_name(key, path)
    return key


def checked_tag(key: str | None, value: str, path: str = "") -> tuple[str, str]:
    """A run's tag as it is stored: its key checked, its value cut to length."""
    name = check_tag_name(key, join_path(path, "key"))
    check_length(join_path(path, "key"), MAX_ENTITY_KEY_LENGTH, name)
    return name, truncated(join_path(path, "value"), MAX_TAG_VALUE_LENGTH, value)


def check_batch(metrics: int, params: int, tags: int) -> None:
    """How much one log-batch request may carry."""
    for what, limit, length in (
        ("metrics", MAX_METRICS_PER_BATCH, metrics),
        ("params", MAX_PARAMS_TAGS_PER_BATCH, params),
        ("tags", MAX_PARAMS_TAGS_PER_BATCH, tags),
        ("metrics, params, and tags", MAX_ENTITIES_PER_BATCH, metrics + params + tags),
    ):
        if length > limit:
            raise invalid_parameter(
                f"A batch logging request can contain at most {limit} {what}. Got {length} {what}."
                f" Please split up {what} across multiple requests and try again."
            )


def check_experiment_name(name: str) -> None:
    """An experiment's name: present and not too long."""
    if name == "":
        raise invalid_parameter("Invalid experiment name: ''")
    check_length("name", MAX_EXPERIMENT_NAME_LENGTH, name)


def check_experiment_tag(key: str | None, value: str | None) -> str:
    """The key and value of an experiment's tag; returns the key."""
    name = check_tag_name(key)
    check_length("key", MAX_EXPERIMENT_TAG_KEY_LENGTH, name)
    check_length("value", MAX_EXPERIMENT_TAG_VALUE_LENGTH, value)
    return name


def parse_experiment_id(text: str) -> int:
    """An experiment's id as the number it is in the database."""
    try:
        return int(text)
    except ValueError:
        raise invalid_parameter(f"Invalid experiment ID '{text}'. Experiment ID must be a valid integer.") from None


def check_run_id(run_id: str) -> None:
    """A run's id as log-batch and log-inputs take it."""
    if not _RUN_ID.match(run_id):
        raise invalid_value("run_id", run_id)


def check_logged_model_name(name: str) -> None:
    """A logged model's name; its length is left to the database, as in stock."""
    if not name or any(character in name for character in _BAD_IN_LOGGED_MODEL_NAMES):
        raise invalid_parameter(
            f"Invalid model name ({name!r}) provided. Model name must be a non-empty string"
            f" and cannot contain the following characters: {_BAD_IN_LOGGED_MODEL_NAMES}"
        )


def check_dataset(name: str, digest: str, source: str, schema: str | None, profile: str | None) -> None:
    """The lengths of a dataset's parts; that of its source type is left to the database, as in stock."""
    check_length("name", MAX_DATASET_NAME_LENGTH, name)
    check_length("digest", MAX_DATASET_DIGEST_LENGTH, digest)
    check_length("source", MAX_DATASET_SOURCE_LENGTH, source)
    check_length("schema", MAX_DATASET_SCHEMA_LENGTH, schema)
    check_length("profile", MAX_DATASET_PROFILE_LENGTH, profile)


def check_input_tag(key: str, value: str) -> None:
    """The lengths of a tag of a run's input."""
    check_length("key", MAX_INPUT_TAG_KEY_LENGTH, key)
    check_length("value", MAX_INPUT_TAG_VALUE_LENGTH, value)
