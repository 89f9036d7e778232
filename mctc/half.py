"""Rounding to fp16 of numbers that float32 arrays hold."""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # naming it imports numpy, which a check has no need of
    from numpy.typing import NDArray

    Array = NDArray[Any]

_LARGE = 2.0**15
"""The power of two from which some magnitudes round to infinity in fp16, from 65520 on."""
_VANISHING = 2.0**-25
"""The power of two up to which magnitudes round to zero, but for those between it and the next."""
_SMALL = 1024
"""Elements below which numpy's own conversion costs less than the passes over memory of the other way."""
_BLOCK = 1 << 15
"""Elements that are rounded at a time."""
_ROOMS = threading.local()


def round_to_half(values: Array, *, in_place: bool = False) -> Array:
    """float32 in, float32 out, every element the nearest fp16 number (ties to even).

    in_place: whether the array may be overwritten, which saves a large one's memory.

    Large arrays are rounded by adding and subtracting 1.5 * 2^(e + 13), with e the element's exponent or, for what is
    subnormal in fp16, -14: the last bit of that sum has the weight of the last bit of an fp16 number.
    """
    if values.size < _SMALL:
        return values.astype(np.float16).astype(np.float32)
    source = np.ascontiguousarray(values)
    result = source if in_place else np.empty_like(source)
    flat, rounded = source.reshape(-1), result.reshape(-1)
    exponents, signs = _rooms()
    for start in range(0, flat.size, _BLOCK):
        block, size = slice(start, start + _BLOCK), flat.size - start
        _round_block(flat[block], rounded[block], exponents[:size], signs[:size])
    return result


@cache
def _numbers() -> tuple[Array, Array, Array, Array]:
    """The bits of an exponent and of a sign, 1.5 * 2^13, and the least exponent of normal numbers: that once for each
    element of a block, since numpy's maximum with one number takes twice as long."""
    exponent, sign = np.array(0x7F800000, np.int32), np.array(-0x80000000, np.int32)
    return exponent, sign, np.array(1.5 * 2**13, np.float32), np.full(_BLOCK, 2**-14, np.float32)


def _rooms() -> tuple[Array, Array]:
    """Two arrays of a block to work in, the same ones for all that a thread rounds."""
    found = getattr(_ROOMS, "pair", None)
    if found is None:
        found = _ROOMS.pair = np.empty(_BLOCK, np.int32), np.empty(_BLOCK, np.int32)
    return found


def _round_block(values: Array, rounded: Array, exponents: Array, signs: Array) -> None:
    """Rounds what a processor's cache holds; `rounded` may be `values`, `exponents` and `signs` are to work in.

    Powers of two are compared and moved as floats: numpy's loops over int32 are slower.
    """
    exponent, sign, shift, subnormal = _numbers()
    bits, offsets = values.view(np.int32), exponents.view(np.float32)
    np.bitwise_and(bits, exponent, out=exponents)
    if not np.maximum.reduce(offsets) < _LARGE:
        with np.errstate(over="ignore"):  # beyond fp16's largest number: infinite, as the format has it
            rounded[:] = values.astype(np.float16)
        return
    vanishes = np.minimum.reduce(offsets) <= _VANISHING
    if vanishes:
        np.bitwise_and(bits, sign, out=signs)
    np.maximum(offsets, subnormal[: offsets.size], out=offsets)
    np.multiply(offsets, shift, out=offsets)
    np.add(values, offsets, out=rounded)
    np.subtract(rounded, offsets, out=rounded)
    if vanishes:  # a zero has the sign of what became it
        bits = rounded.view(np.int32)
        np.bitwise_or(bits, signs, out=bits)
