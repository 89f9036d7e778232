"""Constants written in the program itself."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from mctc.package.blob import decode
from mctc.package.dtypes import DTYPES
from mctc.package.errors import PackageError
from mctc.package.place import Place
from mctc.package.types import ListType, TensorType, ValueType
from mctc.records import dataclass


@dataclass(frozen=True, eq=False)
class Inline:
    """A constant's content as it was written, its size checked when it was read; made an array when asked for.

    `content` of a tensor is bytes in the form of a weight file, or a sequence with an item for each element; of a list
    a constant for each item; of a dictionary its entries, numbers as text.
    """

    content: Any
    type: ValueType
    where: Place

    @property
    def stored_bytes(self) -> int:
        """Nothing in a weight file."""
        return 0

    def load(self) -> Any:
        """Decodes the content."""
        if isinstance(self.type, ListType):
            return [item.value() for item in self.content]
        if isinstance(self.content, dict):
            return dict(self.content)
        if not isinstance(self.type, TensorType):
            raise PackageError(f"{self.where}: a constant of type {self.type} isn't read")
        if self.type.dtype == "string":
            return self.content[0] if self.type.shape == () else list(self.content)
        if self.type.dtype not in DTYPES:
            raise PackageError(f"{self.where}: values of {self.type} can't be read, its element type isn't known")
        try:
            return _array(self.content, self.type)
        except (ValueError, OverflowError, MemoryError) as error:
            raise PackageError(f"{self.where}: {self.type} can't be read ({error})") from error


def _array(content: Any, type_: TensorType) -> Any:
    if isinstance(content, bytes):
        return decode(content, type_)
    return np.asarray(content).astype(DTYPES[type_.dtype].holder).reshape(known_shape(type_))


def known_shape(type_: TensorType) -> tuple[int, ...]:
    """The extents of a type that leaves none open."""
    return tuple(n for n in type_.shape or () if n is not None)


def definite_count(type_: TensorType) -> int:
    """How many elements a constant of a type has; -1 where the type leaves that open."""
    shape = type_.shape
    if shape is None or None in shape or any(n is not None and n < 0 for n in shape):
        return -1
    return prod(known_shape(type_))


def check_content(content: Any, type_: TensorType, where: Place) -> None:
    """Raises PackageError when the content can't be of the type; one of unknown element type is taken as it is."""
    if not isinstance(content, bytes):
        check_elements(len(content), type_, where)
        return
    count = _needed(type_, where)
    if type_.dtype in DTYPES:
        needed = -(-count * DTYPES[type_.dtype].bits // 8)
        if len(content) != needed or type_.dtype == "string":
            raise PackageError(f"{where}: {type_} needs {needed} bytes, the program holds {len(content)}")


def check_elements(count: int, type_: TensorType, where: Place) -> None:
    """Raises PackageError when a type isn't one of `count` elements."""
    needed = _needed(type_, where)
    if count != needed:
        raise PackageError(f"{where}: {type_} needs {needed} elements, the program holds {count}")


def _needed(type_: TensorType, where: Place) -> int:
    count = definite_count(type_)
    if count < 0:
        raise PackageError(f"{where}: a constant of type {type_} has no definite shape")
    return count
