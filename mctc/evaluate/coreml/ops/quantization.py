"""Quantising activations."""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mctc.evaluate.coreml.declaration import op
from mctc.evaluate.coreml.ops.arguments import along, integer
from mctc.evaluate.coreml.precision import Array
from mctc.package.dtypes import DTYPES


def _spread(value: Any, axis: Any, rank: int) -> Array:
    array = np.asarray(value).astype(np.float32)
    return along(array, integer(axis), rank) if array.ndim and axis is not None else array


def _output_type(_dtypes: Mapping[str, str], constants: Mapping[str, Any]) -> tuple[str, ...]:
    return (str(constants.get("output_dtype", "")),)


@op("quantize", since="iOS17", result=_output_type, exact=True)
def quantize(input: Array, scale: Any, output_dtype: str, zero_point: Any = 0, axis: Any = None) -> Array:  # noqa: A002
    """round(x / scale) + zero_point, kept within int8 or uint8."""
    if output_dtype not in ("int8", "uint8"):
        raise ValueError(f"quantize gives int8 or uint8, not {output_dtype}")
    holder = DTYPES[output_dtype].holder
    limits = np.iinfo(holder)
    steps = np.rint(input / _spread(scale, axis, input.ndim)) + _spread(zero_point, axis, input.ndim)
    return np.clip(steps, limits.min, limits.max).astype(holder)


@op("dequantize", since="iOS17", result="scale")
def dequantize(input: Array, scale: Any, zero_point: Any = 0, axis: Any = None) -> Array:  # noqa: A002
    """scale * (x - zero_point)."""
    centred = input.astype(np.float32) - _spread(zero_point, axis, input.ndim)
    return centred * _spread(scale, axis, input.ndim)
