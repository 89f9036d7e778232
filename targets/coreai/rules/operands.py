"""Integer tensors that Core AI's ops take as arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mctc.ir.op import Array


def unsigned(values: Sequence[int]) -> Array:
    """Sizes, strides, permutations, paddings."""
    return np.array(values, np.uint32)


def signed(values: Sequence[int] | int) -> Array:
    """Positions, axes and shapes."""
    array: Array = np.array(values, np.int32)
    return array


def one(value: int) -> Any:
    """A count, as a tensor without axes."""
    return np.array(value, np.uint32)
