"""Numbers as the engine takes them in and gives them out.

Sources: 751K, notes/numerics.md, MAC and PE tables (M4 and M6 equal).
"""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

import numpy as np

from mctc.evaluate.coreml.precision import Array
from mctc.half import round_to_half

BEYOND = 65520.0
"""The smallest magnitude that rounds to infinity in fp16; a tie, which goes away from zero."""
NORMAL = 2.0**-14
"""The smallest normal number of fp16."""
_BLOCK = 1 << 15
_HALF, _KEPT, _LAST = np.int32(0x1000), np.int32(~0x1FFF), np.int32(1)
_DEFAULT_NAN = np.uint32(0xFFC00000)
_CUT = np.int64(~((1 << 29) - 1))


def decoded(x: Array) -> Array:
    """float32 in, float32 out: an fp16 number with exponent field 31 is an ordinary one, (1 + mantissa / 1024) * 2^16.

    So infinity is 65536 and NaN 0x7E00 is 98304. That of either sign is: x86 makes it with a sign where Apple's CPU
    makes it without.
    """
    if np.isfinite(x).all():
        return x
    values = np.ascontiguousarray(x, np.float32)
    bits = values.view(np.uint32)
    mantissa = ((bits >> np.uint32(13)) & np.uint32(0x3FF)).astype(np.float32)
    magnitude = (np.float32(1) + mantissa / np.float32(1024)) * np.float32(65536)
    negative = (bits >> np.uint32(31)).astype(bool) & (bits != _DEFAULT_NAN)
    signed = np.where(negative, -magnitude, magnitude)
    return np.where(np.isfinite(values), values, signed).reshape(np.shape(x))


def half_away(values: Array) -> Array:
    """float32 in, float32 out: the nearest fp16 number, ties away from zero; beyond fp16's range, and NaN, infinite.

    A sum, a difference or a product of two fp16 numbers in float32 is right after this: what float32 rounds of it lies
    further from a tie of fp16 than that rounding reaches.
    """
    flat = np.ascontiguousarray(values, np.float32).reshape(-1)
    rounded = np.empty_like(flat)
    for start in range(0, flat.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        _round_block(flat[block], rounded[block])
    return rounded.reshape(np.shape(values))


def _round_block(values: Array, rounded: Array) -> None:
    """In sign and magnitude, half of the last bit is added and what is below it cut off.

    Where some are subnormal in fp16 the last bit is set, which takes a tie off it, away from zero, and no other number
    across one; how ties are rounded is then of no account.
    """
    bits, magnitude = rounded.view(np.int32), np.abs(values)
    if not magnitude.min() >= NORMAL:
        np.bitwise_or(values.view(np.int32), _LAST, out=bits)
        rounded[:] = round_to_half(rounded, in_place=True)
    else:
        np.add(values.view(np.int32), _HALF, out=bits)
        np.bitwise_and(bits, _KEPT, out=bits)
    if not magnitude.max() < BEYOND:
        beyond = ~(magnitude < BEYOND)
        rounded[beyond] = np.copysign(np.float32(np.inf), values[beyond])


def cut(values: Array) -> Array:
    """float64 in, float32 out, bits that don't fit cut off: `half_away` then gives what it would of the float64."""
    bits = np.ascontiguousarray(values, np.float64).view(np.int64)
    return (bits & _CUT).view(np.float64).astype(np.float32).reshape(np.shape(values))


def exponents(x: Array) -> Array:
    """int8: the exponent that the multiplier sees, -14 for a subnormal number and for zero."""
    _, exponent = np.frexp(x)
    return np.maximum(exponent - 1, -14).astype(np.int8)
