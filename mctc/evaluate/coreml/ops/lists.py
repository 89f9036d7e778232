"""Lists of tensors, mostly built up in loops. A list is never changed in place: each op returns a new one."""

from __future__ import annotations

from typing import Any

import numpy as np

from mctc.evaluate.coreml.declaration import op
from mctc.evaluate.coreml.ops.arguments import integer, integers
from mctc.evaluate.coreml.precision import Array
from mctc.package.dtypes import DTYPES

TensorList = list[Array]


@op("make_list", result="", lists=("elem_shape",))
def make_list(
    elem_shape: Any = None, init_length: Any = 1, dynamic_length: Any = True, dtype: str = "fp32"
) -> tuple[TensorList]:
    """A list of so many zeros; whether it can grow (dynamic_length) isn't checked."""
    holder = DTYPES[dtype].holder if DTYPES[dtype].holder.kind != "f" else np.dtype(np.float32)
    extents = [int(n) for value in elem_shape or [] for n in np.asarray(value).reshape(-1)]
    return ([np.zeros(extents, holder) for _ in range(integer(init_length))],)


@op("list_length", result="int32")
def list_length(ls: TensorList) -> Array:
    """The number of elements."""
    return np.asarray(len(ls))


@op("list_write", result="")
def list_write(ls: TensorList, index: Any, value: Array) -> tuple[TensorList]:
    """The list with one element replaced; it grows as far as needed."""
    return (_written(ls, integer(index), value),)


@op("list_read", result="", exact=True)
def list_read(ls: TensorList, index: Any) -> Array:
    """One element."""
    return ls[_within(ls, integer(index))]


@op("list_gather", result="", exact=True)
def list_gather(ls: TensorList, indices: Any) -> Array:
    """Elements side by side along a new first axis."""
    return np.stack([ls[_within(ls, place)] for place in integers(indices)])


@op("list_scatter", result="")
def list_scatter(ls: TensorList, indices: Any, value: Array) -> tuple[TensorList]:
    """The list with elements replaced by the rows of a tensor."""
    result = ls
    for place, row in zip(integers(indices), value, strict=True):
        result = _written(result, place, row)
    return (result,)


def _within(ls: TensorList, index: int) -> int:
    if not 0 <= index < len(ls):
        raise IndexError(f"element {index} of a list of {len(ls)}")
    return index


def _written(ls: TensorList, index: int, value: Array) -> TensorList:
    if not 0 <= index < 1 << 20:
        raise IndexError(f"a list can't have an element {index}")
    grown = ls + [np.zeros_like(value)] * (index + 1 - len(ls))
    grown[index] = value
    return grown
