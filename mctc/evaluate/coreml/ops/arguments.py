"""Reading an op's small operands: axes, sizes and flags arrive as arrays, ops want Python integers."""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

from typing import Any

import numpy as np

from mctc.evaluate.coreml.precision import Array


def integers(value: Any) -> list[int]:
    """The elements of a vector (or a scalar) as Python integers."""
    return [int(n) for n in np.asarray(value).reshape(-1)]


def integer(value: Any) -> int:
    """A scalar as a Python integer. Raises ValueError for anything larger."""
    array = np.asarray(value)
    if array.size != 1:
        raise ValueError(f"one number is needed, {array.size} are given")
    return int(array.reshape(-1)[0])


def positive(value: Any, name: str) -> list[int]:
    """As `integers`, for what counts something. Raises ValueError where one isn't 1 or more."""
    found = integers(value)
    if any(n < 1 for n in found):
        raise ValueError(f"{name} is {found}; each has to be 1 or more")
    return found


def flag(value: Any) -> bool:
    """A scalar as a bool."""
    return bool(integer(value))


def number(value: Any) -> np.float32:
    """A scalar as a float32."""
    return np.float32(np.asarray(value).reshape(-1)[0])


def along(vector: Array, axis: int, rank: int) -> Array:
    """A vector reshaped so that it broadcasts along `axis` of a tensor of the given rank."""
    shape = [1] * rank
    shape[axis] = -1
    return vector.reshape(shape)
