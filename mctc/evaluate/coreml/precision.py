"""How floating-point values are held while a program runs.

Every float is held in a float32 array, because numpy computes fp16 far slower than fp32. In "fp16" precision a value
that the program declares fp16 is rounded to the nearest fp16 number after the op that made it, so the array holds
fp16 numbers only; from 65520 on it becomes infinite and below 2^-25 zero, as in fp16 itself.
"""

from __future__ import annotations

import threading
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Precision = Literal["fp16", "fp32"]
Array = NDArray[Any]

_LARGE = np.int32((127 + 15) << 23)
"""The exponent of magnitudes of which some round to infinity in fp16, from 65520 on."""
_VANISHING = np.int32((127 - 25) << 23)
"""The exponent below which magnitudes round to zero."""
_SMALL = 4096
"""Elements below which numpy's own conversion costs less than the passes over memory of the other way."""
_BLOCK = 1 << 15
"""Elements that are rounded at a time."""
_EXPONENT = np.int32(0x7F800000)
_SUBNORMAL = np.int32((127 - 14) << 23)
_SHIFT = np.int32((13 << 23) | 0x00400000)
_ROOMS = threading.local()


def round_to_half(values: Array, *, in_place: bool = False) -> Array:
    """float32 in, float32 out, every element the nearest fp16 number (ties to even).

    in_place: whether the array may be overwritten, which saves a large one's memory.

    Large arrays are rounded by adding and subtracting 1.5 * 2^(e + 13), with e the element's exponent or, for what is
    subnormal in fp16, -14: the last bit of that sum has the weight of the last bit of an fp16 number.
    """
    if values.size < _SMALL:
        return values.astype(np.float16).astype(np.float32)
    flat = np.ascontiguousarray(values).reshape(-1)
    rounded = flat if in_place else np.empty_like(flat)
    magic, room = _rooms()
    for start in range(0, flat.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        count = min(_BLOCK, flat.size - start)
        _round_block(flat[block], rounded[block], magic[:count], room[:count])
    return rounded.reshape(values.shape)


def _rooms() -> tuple[Array, Array]:
    """Two arrays of a block to work in, the same ones for all that a thread rounds."""
    found = getattr(_ROOMS, "pair", None)
    if found is None:
        found = _ROOMS.pair = np.empty(_BLOCK, np.int32), np.empty(_BLOCK, np.float32)
    return found


def _round_block(values: Array, rounded: Array, magic: Array, room: Array) -> None:
    """Rounds what a processor's cache holds; `rounded` may be `values`, `magic` and `room` are to work in."""
    np.bitwise_and(values.view(np.int32), _EXPONENT, out=magic)
    if magic.max() >= _LARGE:
        with np.errstate(over="ignore"):  # beyond fp16's largest number: infinite, as the format has it
            rounded[:] = values.astype(np.float16)
        return
    vanishes = magic.min() < _VANISHING
    np.maximum(magic, _SUBNORMAL, out=magic)
    np.add(magic, _SHIFT, out=magic)
    offset = magic.view(np.float32)
    np.add(values, offset, out=room)
    if not vanishes:
        np.subtract(room, offset, out=rounded)
        return
    np.subtract(room, offset, out=room)
    np.copysign(room, values, out=rounded)  # a zero has the sign of what became it


def hold(value: Array, dtype: str, precision: Precision) -> Array:
    """A stored or given array in the form in which the evaluator computes with it."""
    if dtype == "fp16":
        wide = np.asarray(value, np.float32)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return round_to_half(wide) if precision == "fp16" and value.dtype != np.float16 else wide
    return np.asarray(value, np.float32) if dtype in ("fp32", "fp64") else value
