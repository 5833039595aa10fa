"""The types of which request messages are made, with the ranges of the protobuf types they stand for.

A message is a ``Message`` subclass whose fields carry the names of MLflow's ``.proto`` files, all of them, so that
an unknown field in a request is noticed. Absent optional fields are ``None``; a required text field is
``RequiredText``.
"""

from __future__ import annotations

import enum
from typing import Annotated, Literal, Self

import msgspec

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

Int32 = Annotated[int, msgspec.Meta(ge=INT32_MIN, le=INT32_MAX)]
Int64 = Annotated[int, msgspec.Meta(ge=INT64_MIN, le=INT64_MAX)]
# protobuf's JSON writes NaN and the infinities as strings.
Double = float | Literal["NaN", "Infinity", "-Infinity"]
RequiredText = Annotated[str, msgspec.Meta(min_length=1)]


class Message(msgspec.Struct, forbid_unknown_fields=True):
    """Base of all request messages."""


class ProtoEnum(enum.StrEnum):
    """A protobuf enum: JSON spells a member by name, or by number."""

    number: int

    def __new__(cls, name: str, number: int) -> Self:
        member = str.__new__(cls, name)
        member._value_ = name
        member.number = number
        return member


class ViewType(ProtoEnum):
    """Which lifecycle stages a search returns (service.proto, ViewType)."""

    ACTIVE_ONLY = ("ACTIVE_ONLY", 1)
    DELETED_ONLY = ("DELETED_ONLY", 2)
    ALL = ("ALL", 3)


class RunStatus(ProtoEnum):
    """service.proto, RunStatus."""

    RUNNING = ("RUNNING", 1)
    SCHEDULED = ("SCHEDULED", 2)
    FINISHED = ("FINISHED", 3)
    FAILED = ("FAILED", 4)
    KILLED = ("KILLED", 5)


class KeyValue(Message):
    """A tag or parameter: ExperimentTag, RunTag, Param, ModelVersionTag, … all have this shape."""

    key: str | None = None
    value: str | None = None


def to_float(value: Double) -> float:
    """A decoded ``Double`` as a float; its strings are already known to be numbers."""
    return float(value)
