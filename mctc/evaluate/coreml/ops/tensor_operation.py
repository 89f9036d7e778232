"""Making, filling, ordering and choosing elements."""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mctc.evaluate.coreml.declaration import ResultRule, op
from mctc.evaluate.coreml.ops.arguments import flag, integer, integers
from mctc.evaluate.coreml.precision import Array

_PAD_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}


def _as(operand: str, default: str) -> ResultRule:
    """The element type of an operand, or a default where it isn't given."""
    return lambda dtypes, _constants: (dtypes.get(operand, default),)


@op("pad", note="modes constant, reflect, replicate")
def pad(x: Array, pad: Any, mode: str = "constant", constant_val: Any = 0.0) -> Array:
    """Elements added before and after the last axes; pad holds [before, after] for each."""
    flat = integers(pad)
    if len(flat) % 2 or len(flat) > 2 * x.ndim:
        raise ValueError(f"pad has {len(flat)} numbers for rank {x.ndim}")
    amounts = [(0, 0)] * (x.ndim - len(flat) // 2) + list(zip(flat[::2], flat[1::2], strict=True))
    if mode not in _PAD_MODES:
        raise ValueError(f"there is no pad mode '{mode}'")
    if mode == "constant":
        return np.pad(x, amounts, constant_values=np.asarray(constant_val).astype(x.dtype).reshape(-1)[0])
    return np.pad(x, amounts, mode=_PAD_MODES[mode])  # type: ignore[call-overload]


@op("band_part", exact=True)
def band_part(x: Array, lower: Any = -1, upper: Any = -1) -> Array:
    """x where it lies within so many diagonals of the main one, else 0; -1 keeps all on that side."""
    below, above = integer(lower), integer(upper)
    distance = np.subtract.outer(np.arange(x.shape[-2]), np.arange(x.shape[-1]))
    kept = ((below < 0) | (distance <= below)) & ((above < 0) | (-distance <= above))
    return np.where(kept, x, np.zeros((), x.dtype))


@op("cumsum")
def cumsum(x: Array, axis: Any = 0, exclusive: Any = False, reverse: Any = False) -> Array:
    """Running sums along an axis, from either end, with or without the element itself."""
    place = integer(axis)
    source = np.flip(x, place) if flag(reverse) else x
    total = np.cumsum(source, axis=place, dtype=x.dtype)
    if flag(exclusive):
        total = np.roll(total, 1, axis=place)
        np.moveaxis(total, place, 0)[:1] = 0
    return np.flip(total, place) if flag(reverse) else total


@op("fill", result=_as("value", "fp32"), exact=True)
def fill(shape: Any, value: Any = None) -> Array:
    """A tensor of one value."""
    return np.full(integers(shape), np.float32(0) if value is None else value)


@op("fill_like", since="iOS16", result=_as("value", "fp32"), exact=True)
def fill_like(ref_tensor: Array, value: Any = None) -> Array:
    """A tensor of one value in the shape of another."""
    return np.full(ref_tensor.shape, np.float32(0) if value is None else value)


@op("range_1d", result="start")
def range_1d(end: Any, start: Any, step: Any) -> Array:
    """start, start + step, … below end."""
    first, last, stride = (np.asarray(value).reshape(-1)[0].item() for value in (start, end, step))
    if stride == 0 or abs((last - first) / stride) > 1 << 28:
        raise ValueError(f"the range from {first} to {last} by {stride} has no sensible length")
    return np.arange(first, last, stride).astype(np.asarray(start).dtype)


@op("one_hot", result=_as("on_value", "int32"), exact=True, note="an index out of range gives off_value throughout")
def one_hot(indices: Array, one_hot_vector_size: Any, axis: Any = -1, on_value: Any = 1, off_value: Any = 0) -> Array:
    """on_value at the index along a new axis, off_value elsewhere."""
    hot = np.expand_dims(indices, -1) == np.arange(integer(one_hot_vector_size))
    return np.moveaxis(np.where(hot, on_value, off_value), -1, integer(axis))


@op("non_zero", result="int32", exact=True)
def non_zero(x: Array) -> Array:
    """The places of the elements that aren't zero, one row each."""
    return np.argwhere(x)


@op("shape", result="int32", exact=True)
def shape(x: Array) -> Array:
    """The extents of x."""
    return np.asarray(x.shape)


@op("select", result="a", same=("a", "b"), exact=True)
def select(cond: Array, a: Array | None = None, b: Array | None = None) -> Array:
    """a where cond holds, else b; the places where cond holds when neither is given."""
    return np.argwhere(cond) if a is None or b is None else np.where(cond, a, b)


def _order(x: Array, axis: int, ascending: bool) -> Array:
    """Indices that sort; of equals, the first comes first."""
    if ascending:
        return np.argsort(x, axis=axis, kind="stable")
    wide = x if x.dtype.kind == "f" else x.astype(np.int64)
    return np.argsort(-wide, axis=axis, kind="stable")


@op("argsort", result="int32", exact=True)
def argsort(x: Array, axis: Any = -1, ascending: Any = False) -> Array:
    """Indices that sort an axis, downward unless told; of equals, the first comes first."""
    return _order(x, integer(axis), flag(ascending))


def _topk_types(dtypes: Mapping[str, str], constants: Mapping[str, Any]) -> tuple[str, ...]:
    return (dtypes.get("x", ""), str(constants.get("output_indices_dtype") or "int32"))


@op("topk", result=_topk_types, exact=True, note="always sorted; of equals, the first comes first")
def topk(
    x: Array,
    k: Any = 1,
    axis: Any = -1,
    ascending: Any = False,
    sort: Any = True,
    return_indices: Any = True,
    output_indices_dtype: str = "int32",
) -> Any:
    """The k largest (or smallest) elements of an axis and their places."""
    place, count = integer(axis), integer(k)
    count = x.shape[place] if count == -1 else count
    if not 0 <= count <= x.shape[place]:
        raise ValueError(f"{count} elements are wanted of an axis of {x.shape[place]}")
    chosen = np.take(_order(x, place, flag(ascending)), np.arange(count), axis=place)
    values = np.take_along_axis(x, chosen, axis=place)
    return (values, chosen) if flag(return_indices) else values
