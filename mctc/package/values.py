"""Types and constants: from protobuf messages to records."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from mctc.package.blob import BlobFile, decode
from mctc.package.dtypes import BY_NUMBER, DTYPES
from mctc.package.errors import PackageError
from mctc.package.manifest import inside
from mctc.package.model import Constant
from mctc.package.types import ListType, OtherType, StateType, TensorType, ValueType

_MODEL_PREFIX = "@model_path/"
_MAX_RANK = 32
# Fields of TensorValue that hold one number an element, by element type; every other type is stored as bytes.
_NUMBER_FIELDS = {
    "bool": "bools", "fp32": "floats", "fp64": "doubles", "int16": "ints", "uint16": "ints",
    "int32": "ints", "uint32": "ints", "int64": "longInts", "uint64": "longInts",
}  # fmt: skip


def value_type(message: Any, where: str) -> ValueType:
    """The record for a ValueType message."""
    kind = message.WhichOneof("type")
    if kind == "tensorType":
        return tensor_type(message.tensorType, where)
    if kind == "listType":
        element = value_type(message.listType.type, where)
        if not isinstance(element, TensorType):
            raise PackageError(f"{where}: a list of {element} isn't known")
        return ListType(element, _extent(message.listType.length))
    if kind == "stateType":
        wrapped = value_type(message.stateType.wrappedType, where)
        if not isinstance(wrapped, TensorType):
            raise PackageError(f"{where}: a state must hold a tensor, not {wrapped}")
        return StateType(wrapped)
    if kind is None:
        raise PackageError(f"{where}: a value without a type")
    return OtherType(kind.removesuffix("Type"))


def tensor_type(message: Any, where: str) -> TensorType:
    """The record for a TensorType message."""
    dtype = BY_NUMBER.get(message.dataType)
    if dtype is None:
        raise PackageError(f"{where}: element type number {message.dataType} isn't known")
    if any(dim.WhichOneof("dimension") == "unknown" and dim.unknown.variadic for dim in message.dimensions):
        return TensorType(dtype.name, None)
    if len(message.dimensions) > _MAX_RANK:
        raise PackageError(f"{where}: a tensor of rank {len(message.dimensions)}")
    return TensorType(dtype.name, tuple(_extent(dim) for dim in message.dimensions))


def _extent(message: Any) -> int | None:
    return int(message.constant.size) if message.WhichOneof("dimension") == "constant" else None


@dataclass(frozen=True, eq=False)
class Inline:
    """A constant written in the program itself; decoded when asked for, its size checked when read."""

    message: Any
    type: ValueType
    where: str
    stored_bytes: int = 0

    def load(self) -> Any:
        """Decodes the message."""
        return _inline_value(self.message, self.type, self.where)


class Constants:
    """Reads constants of one package; weight files are opened once and shared."""

    def __init__(self, package: Path, model: Path) -> None:
        self._package = package
        self._folder = model.parent
        self._files: dict[str, BlobFile] = {}

    def constant(self, message: Any, where: str) -> Constant:
        """The constant of a Value message: sizes are checked now, contents are read later."""
        type_ = value_type(message.type, where)
        source = message.WhichOneof("value")
        if source == "blobFileValue":
            if not isinstance(type_, TensorType):
                raise PackageError(f"{where}: a {type_} can't be in a weight file")
            blob = self._file(message.blobFileValue.fileName, where)
            return Constant(type_, blob.entry(message.blobFileValue.offset, type_))
        if source != "immediateValue":
            raise PackageError(f"{where}: a constant without a value")
        if isinstance(type_, TensorType):
            _check_count(message.immediateValue, type_, where)
        return Constant(type_, Inline(message, type_, where))

    def _file(self, name: str, where: str) -> BlobFile:
        if name not in self._files:
            relative = PurePosixPath(name.removeprefix(_MODEL_PREFIX))
            if not name.startswith(_MODEL_PREFIX) or ".." in relative.parts or relative.is_absolute() or "\0" in name:
                raise PackageError(f"{where}: the weight file {name!r} isn't inside the package")
            self._files[name] = BlobFile(inside(self._package, self._folder / relative))
        return self._files[name]


def _numbers(immediate: Any, type_: TensorType) -> Any:
    field = "strings" if type_.dtype == "string" else _NUMBER_FIELDS.get(type_.dtype)
    return getattr(immediate.tensor, field).values if field else None


def _check_count(immediate: Any, type_: TensorType, where: str) -> None:
    if type_.shape is None or None in type_.shape:
        raise PackageError(f"{where}: a constant of type {type_} has no definite shape")
    count = prod(n for n in type_.shape if n is not None)
    numbers = _numbers(immediate, type_)
    if numbers is None or (count and len(numbers) == 0 and immediate.tensor.WhichOneof("value") == "bytes"):
        found, need = len(immediate.tensor.bytes.values), -(-count * DTYPES[type_.dtype].bits // 8)
        if found != need:
            raise PackageError(f"{where}: {type_} needs {need} bytes, the program holds {found}")
    elif len(numbers) != count:
        raise PackageError(f"{where}: {type_} needs {count} elements, the program holds {len(numbers)}")


def _inline_value(message: Any, type_: ValueType, where: str) -> Any:
    if isinstance(type_, ListType):
        items = message.immediateValue.list.values
        return [_inline_value(item, value_type(item.type, where), where) for item in items]
    if not isinstance(type_, TensorType):
        raise PackageError(f"{where}: a constant of type {type_} isn't read")
    _check_count(message.immediateValue, type_, where)
    numbers = _numbers(message.immediateValue, type_)
    shape: tuple[int, ...] = tuple(n for n in type_.shape or () if n is not None)
    if type_.dtype == "string":
        return numbers[0] if shape == () else list(numbers)
    if numbers is None or (len(numbers) == 0 and 0 not in shape):
        return decode(message.immediateValue.tensor.bytes.values, type_)
    return np.asarray(numbers).astype(DTYPES[type_.dtype].holder).reshape(shape)
