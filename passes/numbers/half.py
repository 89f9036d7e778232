"""fp16's numbers, and numbers of its precision at other magnitudes."""

from __future__ import annotations

from math import frexp, inf, ldexp
from struct import pack, unpack

import numpy as np

from mctc.ir.op import Array

LARGEST = 65504.0
SMALLEST_NORMAL = 2.0**-14
SMALLEST = 2.0**-24
DIGITS = 11  # significant bits
LARGEST_POWER = 2.0**15


def half(value: float) -> float:
    """The nearest fp16 number; infinite where there is none, 0 below half of the smallest."""
    try:
        near: float = unpack("<e", pack("<e", float(value)))[0]
    except OverflowError:
        return inf if value > 0 else -inf
    return near


def halves(array: Array) -> Array:
    """The same of every entry, in the array's own type."""
    with np.errstate(over="ignore"):
        return np.asarray(array).astype(np.float16).astype(array.dtype)


def holds(value: float) -> bool:
    """Whether fp16 has a number for this one: finite, and 0 for 0 alone."""
    near = half(value)
    return abs(near) <= LARGEST and (near != 0 or value == 0)


def rounded(value: float) -> float:
    """The nearest number of 11 significant bits."""
    mantissa, exponent = frexp(value)
    return ldexp(round(ldexp(mantissa, DIGITS)), exponent - DIGITS)


def power_of_two(value: float) -> float:
    """The power of two that is at most a positive number."""
    return ldexp(1.0, frexp(value)[1] - 1)


def factors(value: float) -> tuple[float, float] | None:
    """2^15 and another number that fp16 holds, whose product is `rounded(value)`, for a magnitude beyond its largest.

    None beyond 65504 * 2^15.
    """
    second = rounded(value) / LARGEST_POWER
    return (LARGEST_POWER, second) if abs(second) <= LARGEST else None
