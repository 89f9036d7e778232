"""How floating-point values are held while a program runs.

Every float is held in a float32 array, because numpy computes fp16 far slower than fp32. In "fp16" precision a value
that the program declares fp16 is rounded to the nearest fp16 number after the op that made it, so the array holds
fp16 numbers only; from 65520 on it becomes infinite and below 2^-25 zero, as in fp16 itself.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mctc.half import round_to_half
from mctc.half_bits import from_half

Precision = Literal["fp16", "fp32"]
Array = NDArray[Any]


def hold(value: Array, dtype: str, precision: Precision) -> Array:
    """A stored or given array in the form in which the evaluator computes with it."""
    if dtype == "fp16":
        if value.dtype == np.float16:
            return from_half(value)
        wide = np.asarray(value, np.float32)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return round_to_half(wide) if precision == "fp16" else wide
    return np.asarray(value, np.float32) if dtype in ("fp32", "fp64") else value
