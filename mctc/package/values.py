"""Types and constants: from protobuf messages to records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mctc.package.dtypes import BY_NUMBER, unknown
from mctc.package.errors import PackageError
from mctc.package.inline import Inline, check_content, definite_count
from mctc.package.model import Constant
from mctc.package.place import Place
from mctc.package.types import ListType, OtherType, StateType, TensorType, ValueType
from mctc.package.weights import Weights
from mctc.records import dataclass

_MAX_RANK = 32
_SMALL = 32
"""Numbers up to which a tuple of Python objects is smaller than an array."""
# Fields of TensorValue that hold one number an element, by element type; every other type is stored as bytes.
_NUMBER_FIELDS = {
    "bool": "bools", "fp32": "floats", "fp64": "doubles", "int16": "ints", "uint16": "ints", "string": "strings",
    "int32": "ints", "uint32": "ints", "int64": "longInts", "uint64": "longInts",
}  # fmt: skip
_HOLDERS = {"bools": np.bool_, "floats": np.float32, "doubles": np.float64, "ints": np.int32, "longInts": np.int64}


@dataclass(frozen=True)
class _Known:
    """A type, and what its constants look like: the field that holds them and how many elements.

    `field` is empty where the elements are bytes; `count` is -1 where a constant of the type takes a closer look.
    """

    type: ValueType
    field: str
    count: int


class Constants:
    """Reads the types and constants of one program. Equal types are one object."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._types: dict[bytes, _Known] = {}

    def type(self, message: Any, where: Place) -> ValueType:
        """The record for a ValueType message."""
        return self._known(message, where).type

    def _known(self, message: Any, where: Place) -> _Known:
        # A program has few types and uses each many times: its bytes are the cheapest name to find it again by.
        stored = message.SerializeToString()
        known = self._types.get(stored)
        if known is None:
            type_ = _value_type(message, where)
            field, count = "", -1
            if isinstance(type_, TensorType):
                field, count = _NUMBER_FIELDS.get(type_.dtype, ""), definite_count(type_)
            known = self._types[stored] = _Known(type_, field, count)
        return known

    def constant(self, message: Any, where: Place) -> Constant:
        """The constant of a Value message: sizes are checked, weights stay in their file.

        Values in the message are taken out of it, so that the message can go.
        """
        known = self._known(message.type, where)
        source = message.WhichOneof("value")
        if source == "immediateValue":
            if known.field and known.count >= 0:  # nearly all constants: short, and one number an element
                values = getattr(message.immediateValue.tensor, known.field).values
                if len(values) == known.count <= _SMALL:
                    return Constant(known.type, Inline(tuple(values), known.type, where))
            return self._immediate(message.immediateValue, known, where)
        if source != "blobFileValue":
            raise PackageError(f"{where}: a constant without a value")
        blob = message.blobFileValue
        return Constant(known.type, self._weights.tensor(blob.fileName, blob.offset, known.type, where))

    def _immediate(self, message: Any, known: _Known, where: Place) -> Constant:
        type_ = known.type
        content: Any = None
        if isinstance(type_, ListType):
            content = tuple(self.constant(item, where) for item in message.list.values)
        elif isinstance(type_, TensorType):
            content = _content(message.tensor, known.field)
            check_content(content, type_, where)
        return Constant(type_, Inline(content, type_, where))


def _value_type(message: Any, where: Place) -> ValueType:
    kind = message.WhichOneof("type")
    if kind == "tensorType":
        return _tensor_type(message.tensorType, where)
    if kind == "listType":
        element = _value_type(message.listType.type, where)
        if not isinstance(element, TensorType):
            raise PackageError(f"{where}: a list of {element} isn't known")
        return ListType(element, _extent(message.listType.length))
    if kind == "stateType":
        wrapped = _value_type(message.stateType.wrappedType, where)
        if not isinstance(wrapped, TensorType):
            raise PackageError(f"{where}: a state must hold a tensor, not {wrapped}")
        return StateType(wrapped)
    if kind is None:
        raise PackageError(f"{where}: a value without a type")
    return OtherType(kind.removesuffix("Type"))


def _tensor_type(message: Any, where: Place) -> TensorType:
    row = BY_NUMBER.get(message.dataType)
    dtype = unknown(message.dataType) if row is None else row.name
    if any(dim.WhichOneof("dimension") == "unknown" and dim.unknown.variadic for dim in message.dimensions):
        return TensorType(dtype, None)
    if len(message.dimensions) > _MAX_RANK:
        raise PackageError(f"{where}: a tensor of rank {len(message.dimensions)}")
    return TensorType(dtype, tuple(_extent(dim) for dim in message.dimensions))


def _extent(message: Any) -> int | None:
    return message.constant.size if message.WhichOneof("dimension") == "constant" else None


def _content(message: Any, field: str) -> Any:
    """What a TensorValue message holds: bytes, or a sequence with an item for each element."""
    if not field or message.WhichOneof("value") == "bytes":
        return message.bytes.values
    values: Sequence[Any] = getattr(message, field).values
    if len(values) <= _SMALL or field == "strings":
        return tuple(values)
    return np.asarray(values, _HOLDERS[field])
