"""Request JSON or query string → message, as stock reads it.

Clients send canonical JSON, which msgspec decodes and checks in one call. All else (int64 as strings, camelCase
names, null, unknown fields, errors) takes the second path, which follows protobuf's ``json_format.ParseDict`` and
mlflow/server/handlers.py ``_get_request_message``.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, TypeVar
from urllib.parse import parse_qs

import msgspec

from tracking_server.api.messages import INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, Message, ProtoEnum
from tracking_server.api.rules import Rules, check
from tracking_server.errors import invalid_parameter
from tracking_server.web import Request

M = TypeVar("M", bound=Message)
_UNPAIRED_SURROGATE = re.compile("[\ud800-\udfff]")
# protobuf takes a bracketed name for an extension, of which MLflow's messages have none.
_EXTENSION_NAME = re.compile(r"\[[a-zA-Z0-9._]*\]$")
_MAX_NESTING = 100


class _NotParsed(Exception):
    """A value does not fit its field (protobuf's ParseError)."""


class _UnknownMember(Exception):
    """An enum has no member of this name, which protobuf overlooks where it overlooks unknown fields."""


def _keep_undecodable_escapes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(f"%{byte:02X}" for byte in error.object[error.start : error.end]), error.end


# Werkzeug keeps escapes that are not UTF-8 as they stand instead of replacing them.
codecs.register_error("tracking_server.keep_escapes", _keep_undecodable_escapes)


async def decode(request: Request, message: type[M], rules: Rules) -> M:
    """The request's message. Raises MlflowError 400, with stock's text, for whatever does not fit."""
    if request.method == "GET" and request.query_string:
        parsed = _query_object(request.query_string, message)
        if parsed is not None:
            return _decode_lenient(parsed, message, rules)
    elif request.method in ("POST", "PUT"):
        check_content_type(request)
    body = await request.body()
    try:
        decoded: M = _decoder(message).decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _decode_lenient(json_object(body), message, rules)
    return decoded


def check_content_type(request: Request) -> None:
    """Raises INVALID_PARAMETER_VALUE unless the body is declared as JSON (mlflow/server/validation.py)."""
    content_type = request.header(b"content-type")
    if content_type == b"application/json":
        return
    if content_type is None:
        raise invalid_parameter("Bad Request. Content-Type header is missing.")
    if content_type.split(b";")[0] != b"application/json":
        raise invalid_parameter("Bad Request. Content-Type must be one of ['application/json'].")


def json_object(body: bytes) -> dict[str, Any]:
    """The body's JSON object; empty when there is no body or it is not JSON, as in stock.

    Raises INVALID_PARAMETER_VALUE where stock fails with a 500: JSON that is no object, or nests without end.
    """
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    except RecursionError:
        raise invalid_parameter("The request body nests too deeply.") from None
    if isinstance(value, str):
        # Old clients encode their JSON twice.
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise invalid_parameter("The request body must be a JSON object, not a string.") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid_parameter(f"The request body must be a JSON object, not {type(value).__name__}.")
    return value


@cache
def _decoder(message: type[Message]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(message)


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    json_name: str
    repeated: bool
    convert: Callable[[Any], Any] | None
    nested: type[Message] | None
    is_map: bool
    is_bool: bool
    zero: Any


@cache
def _fields(message: type[Message]) -> tuple[_Field, ...]:
    info = msgspec.inspect.type_info(message)
    assert isinstance(info, msgspec.inspect.StructType)
    return tuple(_describe(field) for field in info.fields)


@cache
def _fields_by_name(message: type[Message]) -> dict[str, _Field]:
    fields = _fields(message)
    return {field.name: field for field in fields} | {field.json_name: field for field in fields}


def _describe(field: msgspec.inspect.Field) -> _Field:
    kinds = field.type.types if isinstance(field.type, msgspec.inspect.UnionType) else (field.type,)
    kind = next(kind for kind in kinds if not isinstance(kind, msgspec.inspect.NoneType))
    repeated = isinstance(kind, msgspec.inspect.ListType)
    if isinstance(kind, msgspec.inspect.ListType):
        kind = kind.item_type
        if isinstance(kind, msgspec.inspect.UnionType):
            kind = kind.types[0]
    words = field.name.split("_")
    nested = kind.cls if isinstance(kind, msgspec.inspect.StructType) and issubclass(kind.cls, Message) else None
    is_map = isinstance(kind, msgspec.inspect.DictType)
    if not field.required:
        zero = field.default if field.default is not msgspec.NODEFAULT else None
    elif isinstance(kind, msgspec.inspect.EnumType):
        zero = next(iter(kind.cls))
    else:
        zero = {msgspec.inspect.IntType: 0, msgspec.inspect.FloatType: 0.0}.get(type(kind), "")
    return _Field(
        name=field.name,
        json_name=words[0] + "".join(word.capitalize() for word in words[1:]),
        repeated=repeated,
        convert=None if nested or is_map else _converter(kind),
        nested=nested,
        is_map=is_map,
        is_bool=isinstance(kind, msgspec.inspect.BoolType),
        zero=zero,
    )


def _converter(kind: msgspec.inspect.Type) -> Callable[[Any], Any]:
    match kind:
        case msgspec.inspect.IntType(ge=minimum):
            low, high = (INT32_MIN, INT32_MAX) if minimum == INT32_MIN else (INT64_MIN, INT64_MAX)
            return lambda value: _integer(value, low, high)
        case msgspec.inspect.FloatType():
            return _float
        case msgspec.inspect.BoolType():
            return _boolean
        case msgspec.inspect.StrType():
            return _text
        case msgspec.inspect.EnumType(cls=enum_class):
            return lambda value: _enum_member(value, enum_class)
    raise TypeError(f"no protobuf JSON conversion for {kind}")


def _integer(value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or (isinstance(value, str) and " " in value):
        raise _NotParsed
    if isinstance(value, float) and not value.is_integer():
        raise _NotParsed
    try:
        number = int(value)
    except ValueError:
        as_float = float(value)
        if not as_float.is_integer():
            raise _NotParsed from None
        number = int(as_float)
    if not low <= number <= high:
        raise _NotParsed
    return number


def _float(value: Any) -> float:
    if isinstance(value, float) and not math.isfinite(value):
        raise _NotParsed
    if value == "nan":
        raise _NotParsed
    return float(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _NotParsed
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or _UNPAIRED_SURROGATE.search(value):
        raise _NotParsed
    return value


def _enum_member(value: Any, enum_class: type[Any]) -> ProtoEnum:
    for member in enum_class:
        if value == member.value:
            return member  # type: ignore[no-any-return]  # enum classes of messages are ProtoEnum
    try:
        number = int(value)
    except ValueError:
        raise _UnknownMember from None
    for member in enum_class:
        if number == member.number:
            return member  # type: ignore[no-any-return]  # as above
    raise _NotParsed


def _decode_lenient(request: dict[str, Any], message: type[M], rules: Rules) -> M:
    _refuse_conflicting_names(request, message)
    decoded, parsed = _parse(request, message, 1)
    check(rules, request, parsed=parsed)
    if not getattr(decoded, "run_id", True) and getattr(decoded, "run_uuid", None):
        decoded.run_id = decoded.run_uuid  # type: ignore[attr-defined]  # looked up a line above
    return decoded


def _parse(request: Any, message: type[M], depth: int) -> tuple[M, bool]:
    """The message with the fields up to the first that does not fit, and whether all did."""
    values = {field.name: _empty(field) for field in _fields(message)}
    parsed = True
    try:
        for field, value in _known_fields(request, message):
            if value is None:
                values[field.name] = _empty(field)
            elif field.repeated:
                items: list[Any] = []
                values[field.name] = items
                parsed = _parse_list(value, field, items, depth)
            elif field.nested is not None:
                values[field.name], parsed = _parse_nested(value, field.nested, depth)
            elif field.is_map:
                values[field.name] = _parse_map(value)
            else:
                assert field.convert is not None
                with contextlib.suppress(_UnknownMember):
                    values[field.name] = field.convert(value)
            if not parsed:
                break
    except OverflowError:
        raise invalid_parameter("A number in the request is too large.") from None
    except (_NotParsed, TypeError, ValueError):
        parsed = False
    return message(**values), parsed


def _empty(field: _Field) -> Any:
    return [] if field.repeated else field.zero


def _known_fields(request: Any, message: type[Message]) -> Iterator[tuple[_Field, Any]]:
    by_name = _fields_by_name(message)
    for name in request:
        if not isinstance(name, str):
            raise _NotParsed
        field = by_name.get(name)
        if field is not None:
            yield field, request[name]
        elif _EXTENSION_NAME.match(name):
            raise _NotParsed
        elif _UNPAIRED_SURROGATE.search(name):
            raise invalid_parameter("A field name in the request is not valid Unicode.")


def _parse_nested(value: Any, nested: type[Message], depth: int) -> tuple[Message, bool]:
    if depth > _MAX_NESTING:
        raise _NotParsed
    return _parse(value, nested, depth + 1)


def _parse_list(value: Any, field: _Field, items: list[Any], depth: int) -> bool:
    if not isinstance(value, list):
        raise _NotParsed
    for item in value:
        if field.nested is not None:
            # protobuf has added the empty item by the time it sees that null is none.
            nested, parsed = _parse_nested({} if item is None else item, field.nested, depth)
            parsed = parsed and item is not None
            items.append(nested)
            if not parsed:
                return False
        elif item is None:
            raise _NotParsed
        else:
            assert field.convert is not None
            with contextlib.suppress(_UnknownMember):
                items.append(field.convert(item))
    return True


def _parse_map(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _NotParsed
    return {_text(key): _text(item) for key, item in value.items()}


def _refuse_conflicting_names(request: Any, message: type[Message]) -> None:
    """Refuses a field spelled both ways (mlflow/server/handlers.py ``_reject_conflicting_field_aliases``)."""
    if not isinstance(request, dict):
        return
    for field in _fields(message):
        if field.name != field.json_name and field.name in request and field.json_name in request:
            raise invalid_parameter(
                f"Request specifies both '{field.name}' and '{field.json_name}'; provide only one of them."
            )
        if field.nested is None:
            continue
        value = request.get(field.name, request.get(field.json_name))
        for item in value if isinstance(value, list) else [value]:
            _refuse_conflicting_names(item, field.nested)


@lru_cache(maxsize=64)
def query_parameters(query_string: bytes) -> Mapping[str, list[str]]:
    """Every parameter's values in order; what is not UTF-8 keeps its escapes, as in werkzeug's ``request.args``."""
    return parse_qs(query_string.decode("latin-1"), keep_blank_values=True, errors="tracking_server.keep_escapes")


def _query_object(query_string: bytes, message: type[Message]) -> dict[str, Any] | None:
    """The query's parameters that are fields of the message; None for a query without any parameter."""
    parameters = query_parameters(query_string)
    if not parameters:
        return None
    found: dict[str, Any] = {}
    for field in _fields(message):
        values = parameters.get(field.name)
        if values is None:
            continue
        if field.repeated:
            found[field.name] = values
            continue
        found[field.name] = values[0]
        if field.is_bool:
            word = values[0].lower()
            if word not in ("true", "false"):
                raise invalid_parameter(f"Invalid boolean value: {values[0]}, must be 'true' or 'false'.")
            found[field.name] = word == "true"
    return found
