"""What stock checks of the raw request JSON besides its types (mlflow/server/handlers.py, ``_assert_*``).

A rule takes the parameter's value and says whether it holds; a ``Rule`` carries the message for when it does not.
Type rules are only asked when the message as a whole did not parse, as stock does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tracking_server.errors import MlflowError, invalid_parameter


@dataclass(frozen=True, slots=True)
class Rule:
    """One check; ``message`` (``{name}`` is the parameter's) or ``message_for`` a value replaces the standard text."""

    holds: Callable[[object], bool]
    of_type: bool = False
    message: str | None = None
    message_for: Callable[[object], str | None] | None = None


Rules = Mapping[str, Sequence[Rule]]


def _is_intlike(value: object) -> bool:
    try:
        int(value)  # type: ignore[call-overload]  # anything may stand here: a TypeError is an answer
    except (ValueError, OverflowError):
        return False
    return True


def _is_floatlike(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]  # anything may stand here: a TypeError is an answer
    except ValueError:
        return False
    return True


required = Rule(
    lambda value: value is not None and value != "", message="Missing value for required parameter '{name}'."
)
string = Rule(lambda value: isinstance(value, str), of_type=True)
intlike = Rule(_is_intlike, of_type=True)
floatlike = Rule(_is_floatlike, of_type=True)
boolean = Rule(lambda value: isinstance(value, bool), of_type=True)
array = Rule(lambda value: isinstance(value, list), of_type=True)
string_items = Rule(
    lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value), of_type=True
)
object_ = Rule(lambda value: isinstance(value, dict))


def fields_present(name: str, *fields: str) -> Rule:
    """A list whose objects have all of ``fields``, none of them empty; the message names the first without."""

    def missing(value: object) -> str | None:
        for index, item in enumerate(value if isinstance(value, list) else ()):
            for field in fields:
                if isinstance(item, dict) and item.get(field) in (None, ""):
                    return f"Missing value for required parameter '{name}[{index}].{field}'."
        return None

    def holds(value: object) -> bool:
        are_objects = isinstance(value, list) and all(isinstance(item, dict) for item in value)
        return are_objects and missing(value) is None

    return Rule(holds, message_for=missing)


def at_most(limit: int, message: str | None = None) -> Rule:
    """An integer no larger than ``limit``."""
    return Rule(lambda value: int(value) <= limit, message=message)  # type: ignore[call-overload]  # as above


def within(low: int, high: int, message: str | None = None) -> Rule:
    """An integer from ``low`` to ``high``, both included."""
    return Rule(lambda value: low <= int(value) <= high, message=message)  # type: ignore[call-overload]  # as above


def _broken(rule: Rule, name: str, value: object) -> MlflowError:
    message = rule.message
    if rule.message_for is not None:
        message = rule.message_for(value)
    if message is not None:
        message = message.replace("{name}", name)
    else:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"))
        kind = type(value).__name__
        message = f"Invalid value {text} for parameter '{name}' supplied:  Hint: Value was of type '{kind}'."
    return invalid_parameter(f"{message} See the API docs for more information about request parameters.")


def check(rules: Rules, request: Mapping[str, object], *, parsed: bool) -> None:
    """Raises INVALID_PARAMETER_VALUE for the first rule that ``request`` breaks.

    ``parsed`` says that the message parsed as protobuf JSON, so that its types are known to be right.
    """
    for name, parameter_rules in rules.items():
        if name not in request and required not in parameter_rules:
            continue
        value = request.get(name)
        if name == "run_id" and value is None and "run_uuid" in request:
            value = request["run_uuid"]
        for rule in parameter_rules:
            if rule.of_type and parsed:
                continue
            try:
                holds = rule.holds(value)
            except (TypeError, ValueError, OverflowError):
                holds = False
            if not holds:
                raise _broken(rule, name, value)
