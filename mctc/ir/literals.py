"""Names, extents, types and attribute values as text; arrays as text and back, to the bit."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import zlib
from collections.abc import Mapping
from enum import Enum
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from mctc.ir.dims import Extent
from mctc.ir.op import Array
from mctc.ir.types import Axis, DType, Role, TensorType

WORD = re.compile(r"[A-Za-z_]\w*")
DOTTED = re.compile(r"[\w./-]*\w")
RESERVED = frozenset(("none", "true", "false", "nan", "inf", "bytes", "packed", "splat"))
ROLES = frozenset(role.value for role in Role)
ENTRIES = 1 << 24  # of one constant that is read: parameters are no constants
INLINE = 16  # entries; longer arrays are written as bytes
STORAGE = {DType.F32: "float32", DType.F16: "float16", DType.I32: "int32", DType.BOOL: "bool"}
STORAGES = frozenset(
    ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"]
)  # numpy types that a constant may be kept in


class LiteralError(ValueError):
    """A value that has no text, or a text that gives no value."""


quoted = json.JSONEncoder(ensure_ascii=False).encode
"""A text in quotes, as JSON has it."""


def name_text(sigil: str, name: str) -> str:
    """'@encoder.proj' or '%x'; names of other characters are quoted."""
    return sigil + (name if DOTTED.fullmatch(name) else quoted(name))


def dotted_text(name: str) -> str:
    return name if DOTTED.fullmatch(name) else quoted(name)


def word_text(text: str) -> str:
    return text if WORD.fullmatch(text) and text not in RESERVED else quoted(text)


def extent_text(extent: Extent) -> str:
    text = str(extent)
    return f"({text})" if text.startswith("-") else text


def axis_text(axis: Axis) -> str:
    return extent_text(axis.extent) if axis.role is Role.PLAIN else f"{axis.role.value} {extent_text(axis.extent)}"


@lru_cache(maxsize=1 << 12)
def type_text(type_: TensorType) -> str:
    bound = "" if type_.bound is None else f" < {extent_text(type_.bound)}"
    return f"{type_.dtype.value}[{', '.join(map(axis_text, type_.axes))}]{bound}"


def value_text(value: object) -> str:
    """An attribute or setting as text. Raises LiteralError for a value that has no text."""
    kind = type(value)
    if kind is int:  # most are one of these two
        return repr(value)
    if kind is str:
        return word_text(str(value))
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, str):
        return word_text(value)
    if isinstance(value, Extent):
        return f"<{extent_text(value)}>"
    if isinstance(value, TensorType):
        return type_text(value)
    return _compound(value)


def _compound(value: object) -> str:
    if isinstance(value, (tuple, list)):
        if len(value) == 2 and isinstance(value[0], str):
            first, second = value[0].value if isinstance(value[0], Enum) else value[0], value[1]
            if first in ROLES and isinstance(second, (int, Extent)) and not isinstance(second, bool):
                return f"{Role(first).value} {extent_text(Extent.of(second))}"
            if WORD.fullmatch(first) and isinstance(second, Mapping):
                return call_text(first, second)
        return "[" + ", ".join(map(value_text, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + settings_text(value) + "}"
    raise LiteralError(f"a value of type {type(value).__name__} has no textual form")


def settings_text(settings: Mapping[str, object]) -> str:
    return ", ".join(f"{word_text(key)} = {value_text(value)}" for key, value in settings.items())


def call_text(name: str, arguments: Mapping[str, object]) -> str:
    return f"{name}({settings_text(arguments)})"


def array_text(value: ArrayLike, dtype: DType) -> str:
    """An array as text: its entries if they are few, one entry if all are equal, else its bytes; then its storage."""
    array = np.asarray(value)
    storage = array.dtype.name
    if storage not in STORAGES:
        raise LiteralError(f"a constant of numpy type {storage} has no textual form")
    kept = "" if storage == STORAGE[dtype] else f" as {storage}"
    raw = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()
    nameless = array.dtype.kind == "f" and bool(np.isnan(array).any())  # the bits of a NaN matter
    if 0 < array.size <= INLINE and not nameless:
        return _entries(array) + kept
    if array.size and raw == raw[: array.itemsize] * array.size and not nameless:
        return f"splat {_entries(array.flat[0])}{kept}"
    return _bytes_text(raw) + kept


@lru_cache(maxsize=16)  # functions share tables of positions and masks, and two programs of a build hold the same ones
def _bytes_text(raw: bytes) -> str:
    packed = zlib.compress(raw, 9)
    word, data = ("packed", packed) if len(packed) < len(raw) else ("bytes", raw)
    return f'{word} "{base64.b64encode(data).decode()}"'


def _entries(array: Array) -> str:
    """Nested lists of entries, each as short as its own precision allows."""
    if array.ndim:
        return "[" + ", ".join(map(_entries, array)) + "]"
    entry = array[()]
    short = str(entry)
    exact = array.dtype.kind == "f" and array.dtype.type(float(short)) == entry and ("." in short or "e" in short)
    return short if exact else value_text(entry)


def array_of_entries(value: object, storage: str) -> Array:
    """The array of nested tuples of numbers. Raises LiteralError when it is ragged or does not fit `storage`."""
    dtype = _storage(storage)
    try:
        with np.errstate(over="raise"):
            return np.array(value, dtype=dtype)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise LiteralError(f"these entries make no {storage} array") from error


def array_of_bytes(word: str, text: str, storage: str, shape: tuple[int, ...]) -> Array:
    """The array of base64 text ('packed': of its zlib form). Raises LiteralError when `shape` has another length."""
    dtype = _storage(storage).newbyteorder("<")
    size = dtype.itemsize * math.prod(shape)
    try:
        data = base64.b64decode(text, validate=True)
        if word == "packed":
            data = zlib.decompressobj().decompress(data, size + 1)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise LiteralError("the bytes of a constant are damaged") from error
    if len(data) != size:
        raise LiteralError(f"a constant of {size} bytes was expected, there are {len(data)}")
    return np.frombuffer(data, dtype).astype(_storage(storage)).reshape(shape)


def _storage(name: str) -> np.dtype[np.generic]:
    if name not in STORAGES:
        raise LiteralError(f"there is no storage type {name}; there are {', '.join(sorted(STORAGES))}")
    return np.dtype(name)
