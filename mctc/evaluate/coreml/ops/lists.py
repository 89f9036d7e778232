"""Lists of tensors, mostly built up in loops. A list is never changed in place: each op returns a new one.

An element that nobody has written is zeros, or None where its shape has names in it ("is0"): what they stand for shows
when another element is written.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mctc.evaluate.coreml.declaration import op
from mctc.evaluate.coreml.ops.arguments import integer, integers
from mctc.evaluate.coreml.precision import Array
from mctc.package.dtypes import DTYPES

TensorList = list[Array | None]


@op("make_list", result="", lists=("elem_shape",), note="extents are numbers or names; the first write settles names")
def make_list(
    elem_shape: Any = None, init_length: Any = 1, dynamic_length: Any = True, dtype: str = "fp32"
) -> tuple[TensorList]:
    """A list of so many zeros; whether it can grow (dynamic_length) isn't checked."""
    holder = DTYPES[dtype].holder if DTYPES[dtype].holder.kind != "f" else np.dtype(np.float32)
    extents = [n for value in elem_shape or [] for n in np.asarray(value).reshape(-1).tolist()]
    named = elem_shape is None or any(isinstance(n, str) for n in extents)
    return ([None if named else np.zeros(extents, holder) for _ in range(integer(init_length))],)


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
    return _element(ls, integer(index))


@op("list_gather", result="", exact=True)
def list_gather(ls: TensorList, indices: Any) -> Array:
    """Elements side by side along a new first axis."""
    return np.stack([_element(ls, place) for place in integers(indices)])


@op("list_scatter", result="")
def list_scatter(ls: TensorList, indices: Any, value: Array) -> tuple[TensorList]:
    """The list with elements replaced by the rows of a tensor."""
    result = ls
    for place, row in zip(integers(indices), value, strict=True):
        result = _written(result, place, row)
    return (result,)


def _element(ls: TensorList, index: int) -> Array:
    if not 0 <= index < len(ls):
        raise IndexError(f"element {index} of a list of {len(ls)}")
    found = ls[index]
    if found is not None:
        return found
    like = next((each for each in ls if each is not None), None)
    if like is None:
        raise ValueError(f"element {index} has no shape: no element of the list was written")
    return np.zeros_like(like)


def _written(ls: TensorList, index: int, value: Array) -> TensorList:
    if not 0 <= index < 1 << 20:
        raise IndexError(f"a list can't have an element {index}")
    grown = [*ls, *([None] * (index + 1 - len(ls)))]
    grown[index] = value
    return grown
