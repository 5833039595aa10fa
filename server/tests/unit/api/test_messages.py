"""Every native operation's message against the protobuf message of the same RPC: fields, kinds, defaults."""

from __future__ import annotations

import enum
from typing import Any

import msgspec
import pytest
from google.protobuf.descriptor import FieldDescriptor
from mlflow.protos import databricks_pb2, model_registry_pb2, service_pb2

from tracking_server.api.messages import INT32_MIN, Message, ProtoEnum
from tracking_server.api.operation import MESSAGES
from tracking_server.door.route import Route
from tracking_server.door.table import TABLE

_INTEGERS = {FieldDescriptor.CPPTYPE_INT32: "int32", FieldDescriptor.CPPTYPE_INT64: "int64"}


def rpc_inputs() -> dict[tuple[str, str], Any]:
    """The request descriptor of every RPC by method and path as clients spell it."""
    found = {}
    for service in (service_pb2.MlflowService, model_registry_pb2.ModelRegistryService):
        for method in service.DESCRIPTOR.methods:
            for endpoint in method.GetOptions().Extensions[databricks_pb2.rpc].endpoints:
                # A minor version says since when, not where (mlflow/server/handlers.py, get_endpoints).
                path = f"/api/{endpoint.since.major}.0{endpoint.path}"
                found[endpoint.method, path] = method.input_type
    return found


INPUTS = rpc_inputs()
NATIVE = [row for row in TABLE if row.handler in MESSAGES]


def descriptor_of(row: Route) -> Any:
    for method in row.methods:
        for path in row.paths:
            found = INPUTS.get((method, path))
            if found is not None:
                return found
    return None


def kind_of_proto(field: Any) -> object:
    if field.cpp_type in _INTEGERS:
        return _INTEGERS[field.cpp_type]
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return tuple(sorted((value.name, value.number) for value in field.enum_type.values))
    if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        return "map" if field.message_type.GetOptions().map_entry else "message"
    return {
        FieldDescriptor.CPPTYPE_BOOL: "bool",
        FieldDescriptor.CPPTYPE_STRING: "string",
        FieldDescriptor.CPPTYPE_DOUBLE: "double",
    }[field.cpp_type]


def kind_of_ours(kind: Any) -> tuple[bool, object, type[Message] | None]:
    """Whether a field is repeated, its kind, and the nested message."""
    if isinstance(kind, msgspec.inspect.UnionType):
        kind = next(
            each for each in kind.types if not isinstance(each, msgspec.inspect.NoneType | msgspec.inspect.LiteralType)
        )
    match kind:
        case msgspec.inspect.ListType(item_type=item):
            _, inner, nested = kind_of_ours(item)
            return True, inner, nested
        case msgspec.inspect.IntType(ge=minimum):
            return False, "int32" if minimum == INT32_MIN else "int64", None
        case msgspec.inspect.FloatType():
            return False, "double", None
        case msgspec.inspect.BoolType():
            return False, "bool", None
        case msgspec.inspect.StrType():
            return False, "string", None
        case msgspec.inspect.DictType():
            return False, "map", None
        case msgspec.inspect.EnumType(cls=members) if issubclass(members, ProtoEnum):
            return False, tuple(sorted((member.value, member.number) for member in members)), None
        case msgspec.inspect.StructType(cls=nested) if issubclass(nested, Message):
            return False, "message", nested
    raise AssertionError(f"no protobuf kind for {kind}")


def assert_same_message(ours: type[Message], proto: Any) -> None:
    info = msgspec.inspect.type_info(ours)
    assert isinstance(info, msgspec.inspect.StructType)
    fields = {field.name: field for field in info.fields}
    assert fields.keys() == {field.name for field in proto.fields}, ours
    for descriptor in proto.fields:
        field = fields[descriptor.name]
        repeated, kind, nested = kind_of_ours(field.type)
        expected = kind_of_proto(descriptor)
        assert kind == expected, (ours, descriptor.name)
        assert repeated == (descriptor.is_repeated and expected != "map"), (ours, descriptor.name)
        if nested is not None:
            assert_same_message(nested, descriptor.message_type)
        elif not repeated and not field.required and field.default is not None and kind != "map":
            default = field.default.number if isinstance(field.default, enum.Enum) else field.default  # type: ignore[attr-defined]  # every enum here has numbers
            assert default == descriptor.default_value, (ours, descriptor.name)


@pytest.mark.parametrize("row", NATIVE, ids=lambda row: row.label)
def test_message_has_the_fields_of_the_rpc(row: Route) -> None:
    assert row.handler is not None
    proto = descriptor_of(row)
    assert proto is not None, "no RPC of MLflow has this path"
    assert_same_message(MESSAGES[row.handler], proto)
