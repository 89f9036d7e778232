"""What is known of a value before a run: its shape, and its elements where they follow from shapes and constants.

Both are one array. Where the elements aren't known it is a stand-in: an array of the shape that holds one object
everywhere and so takes no memory. Whoever asks that object for a number gets Undetermined.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any, NoReturn, TypeGuard

import numpy as np

from mctc.evaluate.coreml.precision import Array, hold
from mctc.package.dtypes import DTYPES
from mctc.package.errors import PackageError
from mctc.package.model import Constant
from mctc.package.types import TensorType

Extents = tuple[int, ...]
UNKNOWN = 720720 << 20
"""Stands for an extent that isn't known: it can be divided by whatever a shape is divided by."""
_LARGEST = 1 << 36
"""Extents beyond are UNKNOWN, or what became of it."""
_LARGEST_ARRAY = 1 << 59
"""Elements of 8 bytes that numpy still lets an array have."""
READ = 4096
"""Elements up to which values are read and computed."""


class Undetermined(Exception):  # noqa: N818 — a state of knowledge, no fault
    """A number is asked for that only a run tells."""


class _Open:
    """An element that isn't known."""

    def __int__(self) -> NoReturn:
        raise Undetermined

    __index__ = __bool__ = __float__ = __int__


_OPEN = np.empty((), object)
_OPEN[()] = _Open()


class Vast:
    """A stand-in for what is larger than any array of numpy can be: it has a shape, and can't be moved about."""

    dtype = np.dtype(object)

    def __init__(self, shape: Extents) -> None:
        self.shape, self.ndim, self.size = shape, len(shape), prod(shape)

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise Undetermined


Value = Array | Vast


def stand_in(shape: Iterable[int]) -> Value:
    """A value of this shape whose elements aren't known."""
    extents = tuple(shape)
    return np.broadcast_to(_OPEN, extents) if prod(extents) <= _LARGEST_ARRAY else Vast(extents)


def is_value(value: Any) -> TypeGuard[Value]:
    """Whether this is an array or a stand-in, and no text, list or nothing."""
    return isinstance(value, (np.ndarray, Vast))


def is_known(value: Any) -> bool:
    """Whether all elements are known."""
    return not is_value(value) or value.dtype != object


def settled(value: Value, dtype: str) -> Value:
    """A small value in the element type that it is declared with; a stand-in where an element isn't known."""
    if isinstance(value, Vast) or dtype not in DTYPES or value.size > READ:
        return value if value.dtype == object else stand_in(value.shape)
    if value.dtype == object:
        if any(isinstance(each, _Open) for each in value.reshape(-1)):
            return value
        # An axis of 2^30 beside one of 0 has no elements, but its list would have 2^30 entries.
        value = np.asarray(value.tolist()) if value.size else np.zeros(value.shape)
    return hold(value.astype(DTYPES[dtype].holder), dtype, "fp16")


def of_type(type_: TensorType) -> Value | None:
    """The stand-in for a declared type; None where its rank is not known. A damaged model may say -1."""
    if type_.shape is None:
        return None
    return stand_in(UNKNOWN if extent is None or extent < 0 else extent for extent in type_.shape)


def of_constant(constant: Constant) -> Any:
    """A small constant's value, a text, or a stand-in for a large one."""
    type_ = constant.type
    if not isinstance(type_, TensorType) or type_.shape is None:
        return None
    if type_.dtype != "string" and (type_.dtype not in DTYPES or prod(extent or 0 for extent in type_.shape) > READ):
        return of_type(type_)
    try:
        value = constant.value()
    except (PackageError, ValueError):  # such as weights that aren't there
        return of_type(type_)
    return hold(value, type_.dtype, "fp16") if isinstance(value, np.ndarray) else value


def extents_of(value: Value) -> tuple[int | None, ...]:
    """The shape, with None for what isn't known."""
    return tuple(None if extent > _LARGEST else extent for extent in value.shape)


def is_open(extent: int) -> bool:
    """Whether an extent isn't known."""
    return extent > _LARGEST


def shape_vector(value: Value) -> Array:
    """What the op `shape` gives."""
    if not any(map(is_open, value.shape)):
        return np.asarray(value.shape, np.int32)
    vector = np.empty(value.ndim, object)
    vector[:] = [_OPEN[()] if is_open(extent) else extent for extent in value.shape]
    return vector
