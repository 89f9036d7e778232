"""Convolution over one to three spatial axes; sums are accumulated in float32."""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mctc.evaluate.coreml.declaration import Function, op
from mctc.evaluate.coreml.ops.arguments import along, integer, integers, positive
from mctc.evaluate.coreml.ops.window_products import by_bands, by_columns, by_taps, run_length
from mctc.evaluate.coreml.ops.windows import BOTH, pad_spatial, paddings
from mctc.evaluate.coreml.precision import Array


def _filled(value: Any, rank: int, name: str) -> list[int]:
    return positive(value, name) if value is not None else [1] * rank


def _convolve(x: Array, weight: Array, strides: list[int], dilations: list[int], groups: int) -> Array:
    """x is padded already."""
    outputs, per_group, *kernel = weight.shape
    channels = x.shape[1]
    if channels != per_group * groups or outputs % groups:
        raise ValueError(f"{channels} channels in {groups} groups don't fit the weight {list(weight.shape)}")
    if all(k == 1 for k in kernel):
        x = x[BOTH + tuple(slice(None, None, s) for s in strides)]
        return _pointwise(x, weight, groups)
    sizes = [
        (n - (k - 1) * d - 1) // step + 1 for n, k, d, step in zip(x.shape[2:], kernel, dilations, strides, strict=True)
    ]
    if per_group == 1 and outputs == groups and min(sizes) > 0:
        return by_taps(x, weight, sizes, strides, dilations)
    count = run_length(x, weight, sizes, strides[-1], dilations[-1], groups) if min(sizes) > 0 else 0
    if count and np.isfinite(x).all() and np.isfinite(weight).all():
        return by_bands(x, weight, strides, dilations, groups, count)
    return by_columns(x, weight, strides, dilations, groups)


def _pointwise(x: Array, weight: Array, groups: int) -> Array:
    matrix = weight.reshape(groups, weight.shape[0] // groups, -1)
    columns = x.reshape(x.shape[0], groups, matrix.shape[2], -1)
    product = np.matmul(matrix[0], columns[:, 0]) if groups == 1 else np.matmul(matrix, columns)
    return product.reshape(x.shape[0], weight.shape[0], *x.shape[2:])


def _with_bias(result: Array, bias: Array | None) -> Array:
    if bias is None:
        return result
    column = along(bias, 1, result.ndim)
    return np.add(result, column, out=result) if result.flags.owndata else result + column


def _of_constants(constants: Mapping[str, Any]) -> Function | None:
    """A convolution whose settings are read once."""
    weight = constants.get("weight")
    if weight is None or "x" in constants:
        return None
    kernel, rank = weight.shape[2:], weight.ndim - 2
    step, spread = (_filled(constants.get(name), rank, name) for name in ("strides", "dilations"))
    groups, kind, pad = integer(constants.get("groups", 1)), constants.get("pad_type", "valid"), constants.get("pad")
    stored = constants.get("bias")
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, spread, strict=True)]
    settled = None if "same" in str(kind).lower() else paddings(kind, pad, kernel, extents, step)
    if settled and not any(map(any, settled)) and groups == 1 and all(n == 1 for n in (*kernel, *step)):
        return _pointwise_of_constants(weight, stored)

    def apply(x: Array, bias: Array | None = stored) -> Array:
        around = paddings(kind, pad, x.shape[2:], extents, step) if settled is None else settled
        return _with_bias(_convolve(pad_spatial(x, around), weight, step, spread, groups), bias)

    return apply


def _pointwise_of_constants(weight: Array, stored: Array | None) -> Function:
    """A 1×1 convolution without padding, strides or groups is one matrix product."""
    matrix = weight.reshape(weight.shape[:2])
    column = None if stored is None else stored.reshape(-1, 1)

    def apply(x: Array, bias: Array | None = None) -> Array:
        product = np.matmul(matrix, x.reshape(x.shape[0], x.shape[1], -1))
        if column is not None:
            product += column
        elif bias is not None:
            product += bias.reshape(-1, 1)
        return product.reshape(x.shape[0], -1, *x.shape[2:])

    return apply


@op("conv", specialise=_of_constants, note="1 to 3 spatial axes; pad types valid, same, same_lower, custom")
def conv(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    strides: Any = None,
    pad_type: str = "valid",
    pad: Any = None,
    dilations: Any = None,
    groups: Any = 1,
) -> Array:
    """Convolution; x is [n, in, *spatial], weight [out, in / groups, *kernel]."""
    rank = x.ndim - 2
    step, spread = _filled(strides, rank, "strides"), _filled(dilations, rank, "dilations")
    extents = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], spread, strict=True)]
    padded = pad_spatial(x, paddings(pad_type, pad, x.shape[2:], extents, step))
    return _with_bias(_convolve(padded, weight, step, spread, integer(groups)), bias)


@op("conv_transpose", note="1 to 3 spatial axes; pad types valid, same, custom; output_shape")
def conv_transpose(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    pad: Any = None,
    output_shape: Any = None,
    pad_type: str = "valid",
    strides: Any = None,
    dilations: Any = None,
    groups: Any = 1,
) -> Array:
    """The transpose of conv; x is [n, in, *spatial], weight [in, out / groups, *kernel]."""
    rank, parts = x.ndim - 2, integer(groups)
    step, spread = _filled(strides, rank, "strides"), _filled(dilations, rank, "dilations")
    full = _scatter_taps(x, weight, step, spread, parts)
    wanted = integers(output_shape)[2:] if output_shape is not None else None
    crop = _crops(str(pad_type).lower(), pad, x.shape[2:], full.shape[2:], step, wanted)
    lacking = [max(end - size, 0) for (_, end), size in zip(crop, full.shape[2:], strict=True)]
    full = pad_spatial(full, [(0, n) for n in lacking])
    inside = tuple(slice(start, end) for start, end in crop)
    return _with_bias(full[BOTH + inside], bias)


def _scatter_taps(x: Array, weight: Array, step: list[int], spread: list[int], groups: int) -> Array:
    """The whole result, nothing cut off: each tap's product is added where the tap puts it.

    As many taps of the last axis as its stride are taken at once: their results lie side by side, and never overlap.
    """
    inputs, per_group, *kernel = weight.shape
    batch, channels, *sizes = x.shape
    if inputs != channels or channels % groups:
        raise ValueError(f"{channels} channels in {groups} groups don't fit the weight {list(weight.shape)}")
    beside = step[-1] if spread[-1] == 1 else 1
    shape = [(n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(sizes, step, kernel, spread, strict=True)]
    full = np.zeros((batch, per_group * groups, *shape[:-1], shape[-1] + beside - 1), np.float32)
    flat = x.reshape(batch, groups, channels // groups, -1)
    taps_first = np.moveaxis(weight.reshape(groups, channels // groups, per_group, *kernel), (1, 2), (-1, -2))
    for tap in np.ndindex(*kernel[:-1], -(-kernel[-1] // beside)):
        first = tap[-1] * beside
        here: Any = (slice(None), *tap[:-1], slice(first, first + beside))
        taken = taps_first[here]  # group, taps, out, in
        count = taken.shape[1]
        made = np.matmul(taken.reshape(groups, count * per_group, -1), flat)
        lead = [
            slice(t * d, t * d + (n - 1) * s + 1, s)
            for t, d, n, s in zip(tap[:-1], spread, sizes[:-1], step, strict=False)
        ]
        start = first * spread[-1]
        if count == 1:
            place: Any = (*BOTH, *lead, slice(start, start + (sizes[-1] - 1) * step[-1] + 1, step[-1]))
            full[place] += made.reshape(batch, per_group * groups, *sizes)
            continue
        place = (*BOTH, *lead, slice(start, start + sizes[-1] * beside))
        runs = full[place]
        runs = runs.reshape(*runs.shape[:-1], sizes[-1], beside)  # a view: an axis is split, none are joined
        part = made.reshape(batch, groups, count, per_group, *sizes)
        runs[..., :count] += np.moveaxis(part, 2, -1).reshape(batch, -1, *sizes, count)
    return full[..., : shape[-1]]


def _crops(
    kind: str, pad: Any, sizes: Sequence[int], full: Sequence[int], step: list[int], wanted: list[int] | None
) -> list[tuple[int, int]]:
    if kind == "same":
        outputs = wanted or [n * s for n, s in zip(sizes, step, strict=True)]
        starts = [max(total - out, 0) // 2 for total, out in zip(full, outputs, strict=True)]
        return [(start, start + out) for start, out in zip(starts, outputs, strict=True)]
    if kind not in ("valid", "custom"):
        raise ValueError(f"there is no pad_type '{kind}'")
    flat = integers(pad) if kind == "custom" and pad is not None else [0] * (2 * len(sizes))
    starts = flat[::2]
    outputs = wanted or [total - a - b for total, a, b in zip(full, starts, flat[1::2], strict=True)]
    return [(start, start + out) for start, out in zip(starts, outputs, strict=True)]
