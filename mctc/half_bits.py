"""fp16 arrays by their bits: numpy converts and compares them one by one, at several times the cost.

Milliseconds a million numbers, by numpy and here: to float32 1.7 and 0.8, from it 2.7 and 1.5, a maximum 5.6 and 0.04.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_SMALL = 4096
"""Numbers below which numpy's own way costs no more."""
_BLOCK = 1 << 17
"""Numbers that are converted at a time."""
_INFINITE = 0x7C00
_SIGN = 0x8000
_KEPT = -0x70002000
"""Of a number's 16 bits, extended by their sign and moved by 13: the sign, and what becomes exponent and fraction."""
_SHIFT = 13
_BIAS = 2.0**112
"""What a float32 with an exponent of fp16's bias lacks."""
_NARROWED = 1 << 15
"""Numbers that are rounded at a time."""
_EXPONENT = 0x7F800000
_LARGE = 2.0**15
"""The power of two from which some magnitudes round to infinity."""
_OFFSET = (13 << 23) + 0x400000 + 0x3C00
"""What makes of a power of two 2^e the float32 1.5 * 2^(e + 13), with -113 * 2^10 in its lowest 16 bits: to it a number
is added so that these come to the bits of its fp16, less the exponent, which has a bias of 127 in float32, not 15."""
_SAMPLED = 64
"""Of so many numbers one is looked at: subnormal ones take a processor as long as a hundred others, and numpy not."""
_MOST_SUBNORMAL = _BLOCK // 64 // _SAMPLED


def from_half(values: Array) -> Array:
    """float16 in, float32 out: the same numbers."""
    if values.size < _SMALL or not values.flags.c_contiguous or not is_finite(values):
        return values.astype(np.float32)
    wide = np.empty(values.shape, np.float32)
    source, bits, result = values.reshape(-1), values.reshape(-1).view(np.int16), wide.reshape(-1)
    kept, bias = np.int32(_KEPT), np.float32(_BIAS)
    for start in range(0, source.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        if _subnormal(bits[part][::_SAMPLED]) > _MOST_SUBNORMAL:
            result[part] = source[part]
            continue
        moved = result[part].view(np.int32)
        np.copyto(moved, bits[part])
        np.left_shift(moved, _SHIFT, out=moved)
        np.bitwise_and(moved, kept, out=moved)
        np.multiply(result[part], bias, out=result[part])
    return wide


def to_half(values: Array, out: Array | None = None) -> Array:
    """float32 in, float16 out: the nearest numbers, ties to even, infinite beyond the largest one.

    out: a contiguous array that takes them.
    """
    half: Array = np.empty(values.shape, np.float16) if out is None else out
    source = np.ascontiguousarray(values, np.float32).reshape(-1)
    result = half.reshape(-1)
    room = np.empty((2, min(source.size, _NARROWED)), np.float32), np.empty(min(source.size, _NARROWED), np.int16)
    for start in range(0, source.size, _NARROWED):
        part = slice(start, start + _NARROWED)
        _narrow(source[part], result[part], *room)
    return half


def _narrow(values: Array, half: Array, floats: Array, shorts: Array) -> None:
    """Rounds what a processor's cache holds. floats, shorts: to work in."""
    (powers, sums), small, bits = floats[:, : values.size], shorts[: values.size], values.view(np.int32)
    integers, wide, result = powers.view(np.int32), sums.view(np.int32), half.view(np.int16)
    np.bitwise_and(bits, np.int32(_EXPONENT), out=integers)
    if not np.maximum.reduce(powers) < _LARGE:
        with np.errstate(over="ignore"):
            half[:] = values
        return
    np.maximum(powers, _least_normal()[: values.size], out=powers)
    np.right_shift(integers, 13, out=wide)
    np.copyto(small, wide, casting="unsafe")
    np.add(integers, np.int32(_OFFSET), out=integers)
    np.absolute(values, out=sums)
    np.add(sums, powers, out=sums)
    np.copyto(result, wide, casting="unsafe")
    np.add(result, small, out=result)
    np.right_shift(bits, 16, out=wide)
    np.copyto(small, wide, casting="unsafe")
    np.bitwise_and(small, np.int16(-_SIGN), out=small)
    np.bitwise_or(result, small, out=result)


@cache
def _least_normal() -> Array:
    """The least normal number once for each element: numpy's maximum with one number takes four times as long."""
    return np.full(_NARROWED, 2.0**-14, np.float32)


def is_finite(values: Array) -> bool:
    """Whether no number of a float16 array is infinite or NaN."""
    if not values.size:
        return True
    bits = values.view(np.uint16)
    return bool(bits.max() < _SIGN + _INFINITE and values.view(np.int16).max() < _INFINITE)


def extremes(values: Array) -> tuple[float, float]:
    """The least and the largest number of a float16 array that isn't empty; NaN for both where one is NaN."""
    signed, unsigned = values.view(np.int16), values.view(np.uint16)
    largest, farthest = int(signed.max()), int(unsigned.max())  # of the positive, and of the negative away from 0
    if largest > _INFINITE or farthest > _SIGN + _INFINITE:
        return math.nan, math.nan
    low = farthest if farthest >= _SIGN else int(unsigned.min())
    high = largest if largest >= 0 else int(unsigned.min())
    return _number(low), _number(high)


def _number(bits: int) -> float:
    return float(np.uint16(bits).view(np.float16))


def _subnormal(bits: Array) -> int:
    """How many numbers are subnormal, of their bits as int16."""
    magnitudes = (bits & np.int16(0x7FFF)) - np.int16(1)  # zero is below all then
    return int(np.count_nonzero(magnitudes.view(np.uint16) < 0x3FF))
