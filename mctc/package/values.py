"""Types and constants: from protobuf messages to records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mctc.package.dtypes import BY_NUMBER, unknown
from mctc.package.errors import PackageError
from mctc.package.inline import Inline, check_content
from mctc.package.model import Constant
from mctc.package.place import Place
from mctc.package.types import ListType, OtherType, StateType, TensorType, ValueType
from mctc.package.weights import Weights

_MAX_RANK = 32
_SMALL = 32
"""Numbers up to which a tuple of Python objects is smaller than an array."""
# Fields of TensorValue that hold one number an element, by element type; every other type is stored as bytes.
_NUMBER_FIELDS = {
    "bool": "bools", "fp32": "floats", "fp64": "doubles", "int16": "ints", "uint16": "ints", "string": "strings",
    "int32": "ints", "uint32": "ints", "int64": "longInts", "uint64": "longInts",
}  # fmt: skip
_HOLDERS = {"bools": np.bool_, "floats": np.float32, "doubles": np.float64, "ints": np.int32, "longInts": np.int64}


class Constants:
    """Reads the types and constants of one program. Equal types are one object."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._types: dict[bytes, ValueType] = {}

    def type(self, message: Any, where: Place) -> ValueType:
        """The record for a ValueType message."""
        # A program has few types and uses each many times: its bytes are the cheapest name to find it again by.
        stored = message.SerializeToString()
        known = self._types.get(stored)
        if known is None:
            known = self._types[stored] = _value_type(message, where)
        return known

    def constant(self, message: Any, where: Place) -> Constant:
        """The constant of a Value message: sizes are checked, weights stay in their file.

        Values in the message are taken out of it, so that the message can go.
        """
        type_ = self.type(message.type, where)
        source = message.WhichOneof("value")
        if source == "blobFileValue":
            blob = message.blobFileValue
            return Constant(type_, self._weights.tensor(blob.fileName, blob.offset, type_, where))
        if source != "immediateValue":
            raise PackageError(f"{where}: a constant without a value")
        immediate = message.immediateValue
        if isinstance(type_, ListType):
            content: Any = tuple(self.constant(item, where) for item in immediate.list.values)
        elif isinstance(type_, TensorType):
            content = _content(immediate.tensor, type_)
            check_content(content, type_, where)
        else:
            content = None
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


def _content(message: Any, type_: TensorType) -> Any:
    """What a TensorValue message holds: bytes, or a sequence with an item for each element."""
    field = _NUMBER_FIELDS.get(type_.dtype)
    # No numbers may also mean that an empty tensor was written as bytes, or a whole one.
    if field is None or message.WhichOneof("value") == "bytes":
        return message.bytes.values
    values: Sequence[Any] = getattr(message, field).values
    if len(values) <= _SMALL or field == "strings":
        return tuple(values)
    return np.asarray(values, _HOLDERS[field])
