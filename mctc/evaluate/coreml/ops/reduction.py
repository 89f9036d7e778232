"""Reductions over axes."""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mctc.evaluate.coreml.declaration import op
from mctc.evaluate.coreml.ops.arguments import flag, integer, integers
from mctc.evaluate.coreml.precision import Array
from mctc.package.dtypes import DTYPES

Axes = tuple[int, ...]


def _log_sum_exp(x: Any, axes: Axes, keep: bool) -> Array:
    peak = x.max(axis=axes, keepdims=True)
    # An infinite maximum would turn the differences into NaN.
    peak = np.where(np.isfinite(peak), peak, np.float32(0))
    total = np.log(np.exp(x - peak).sum(axis=axes, keepdims=True)) + peak
    return total if keep else total.squeeze(axis=axes)


def _mean(x: Any, axes: Axes, keep: bool) -> Array:
    if x.dtype.kind == "f":
        return x.mean(axis=axes, keepdims=keep)
    return np.trunc(x.mean(axis=axes, keepdims=keep)).astype(x.dtype)


_REDUCTIONS: dict[str, tuple[Callable[[Any, Axes, bool], Array], bool]] = {
    "reduce_sum": (lambda x, axes, keep: x.sum(axis=axes, keepdims=keep, dtype=x.dtype), False),
    "reduce_mean": (_mean, False),
    "reduce_max": (lambda x, axes, keep: x.max(axis=axes, keepdims=keep), True),
    "reduce_min": (lambda x, axes, keep: x.min(axis=axes, keepdims=keep), True),
    "reduce_prod": (lambda x, axes, keep: x.prod(axis=axes, keepdims=keep, dtype=x.dtype), False),
    "reduce_l1_norm": (lambda x, axes, keep: np.abs(x).sum(axis=axes, keepdims=keep, dtype=x.dtype), False),
    "reduce_l2_norm": (
        lambda x, axes, keep: np.sqrt(np.square(x).sum(axis=axes, keepdims=keep)).astype(x.dtype),
        False,
    ),
    "reduce_sum_square": (lambda x, axes, keep: np.square(x).sum(axis=axes, keepdims=keep, dtype=x.dtype), False),
    "reduce_log_sum": (lambda x, axes, keep: np.log(x.sum(axis=axes, keepdims=keep)).astype(x.dtype), False),
    "reduce_log_sum_exp": (lambda x, axes, keep: _log_sum_exp(x, axes, keep).astype(x.dtype), False),
}


def _declare(name: str, function: Callable[[Array, Axes, bool], Array], exact: bool) -> None:
    @op(name, exact=exact)
    def apply(x: Array, axes: Any = None, keep_dims: Any = False) -> Array:
        where = tuple(integers(axes)) if axes is not None else tuple(range(x.ndim))
        return function(x, where, flag(keep_dims))


for _name, (_function, _exact) in _REDUCTIONS.items():
    _declare(_name, _function, _exact)


def index_type(_dtypes: Mapping[str, str], constants: Mapping[str, Any]) -> tuple[str, ...]:
    """Element type of an index result: `output_dtype`, int32 unless given (iOS 17 allows uint16)."""
    return (str(constants.get("output_dtype") or "int32"),)


def _declare_arg(name: str, function: Callable[..., Any]) -> None:
    @op(name, result=index_type, note="the first of equals")
    def apply(x: Array, axis: Any = -1, keep_dims: Any = False, output_dtype: str = "int32") -> Array:
        where = integer(axis)
        found = np.asarray(function(x, axis=where)).astype(DTYPES[output_dtype].holder)
        return np.expand_dims(found, where) if flag(keep_dims) else found


_declare_arg("reduce_argmax", np.argmax)
_declare_arg("reduce_argmin", np.argmin)
