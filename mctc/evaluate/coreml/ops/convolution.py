"""Convolution over one to three spatial axes; sums are accumulated in float32."""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mctc.evaluate.coreml.declaration import Function, op
from mctc.evaluate.coreml.ops.arguments import along, integer, integers
from mctc.evaluate.coreml.precision import Array

_BOTH = (slice(None), slice(None))


def paddings(
    pad_type: str, pad: Any, sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int]
) -> list[tuple[int, int]]:
    """Elements added before and after each spatial axis; `kernel` holds the dilated extents.

    "same" gives ceil(size / stride) results and puts the odd element behind, "same_lower" in front.
    """
    kind = str(pad_type).lower()
    if kind == "valid":
        return [(0, 0)] * len(sizes)
    if kind == "custom":
        flat = integers(pad) if pad is not None else [0] * (2 * len(sizes))
        if len(flat) != 2 * len(sizes):
            raise ValueError(f"pad needs {2 * len(sizes)} numbers, it has {len(flat)}")
        return list(zip(flat[::2], flat[1::2], strict=True))
    if kind not in ("same", "same_lower"):
        raise ValueError(f"there is no pad_type '{pad_type}'")
    found = []
    for size, extent, stride in zip(sizes, kernel, strides, strict=True):
        total = max((-(-size // stride) - 1) * stride + extent - size, 0)
        small, large = total // 2, total - total // 2
        found.append((small, large) if kind == "same" else (large, small))
    return found


def pad_spatial(x: Array, amounts: Sequence[tuple[int, int]], value: float = 0.0) -> Array:
    """x with `value` around its spatial axes (the third onward)."""
    if not any(before or after for before, after in amounts):
        return x
    shape = (*x.shape[:2], *(n + a + b for n, (a, b) in zip(x.shape[2:], amounts, strict=True)))
    if any(n < 0 for n in shape) or any(n < 0 for pair in amounts for n in pair):
        raise ValueError(f"the padding {list(amounts)} is negative")
    padded = np.full(shape, value, x.dtype)
    inside = tuple(slice(a, a + n) for n, (a, _) in zip(x.shape[2:], amounts, strict=True))
    padded[_BOTH + inside] = x
    return padded


def windows(x: Array, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> Array:
    """A view of shape (n, c, *out, *kernel): every window that lies inside x."""
    spatial: Any = tuple(range(2, x.ndim))
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    if any(extent > size for extent, size in zip(extents, x.shape[2:], strict=True)):
        raise ValueError(f"a window of {extents} doesn't fit into {list(x.shape[2:])}")
    view: Array = sliding_window_view(x, tuple(extents), axis=spatial)
    steps = tuple(slice(None, None, s) for s in strides)
    taps = tuple(slice(None, None, d) for d in dilations)
    return view[_BOTH + steps + taps]


def _filled(value: Any, rank: int) -> list[int]:
    return integers(value) if value is not None else [1] * rank


def _convolve(x: Array, weight: Array, strides: list[int], dilations: list[int], groups: int) -> Array:
    """x is padded already."""
    outputs, per_group, *kernel = weight.shape
    batch, channels = x.shape[:2]
    if channels != per_group * groups or outputs % groups:
        raise ValueError(f"{channels} channels in {groups} groups don't fit the weight {list(weight.shape)}")
    if all(k == 1 for k in kernel):
        x = x[_BOTH + tuple(slice(None, None, s) for s in strides)]
        spatial = x.shape[2:]
        return _grouped_product(weight, x.reshape(batch, groups, per_group, -1), groups, (batch, outputs, *spatial))
    if per_group == 1 and outputs == groups:
        return _depthwise(x, weight, strides, dilations)
    view = windows(x, kernel, strides, dilations)
    rank = len(kernel)
    spatial = view.shape[2 : 2 + rank]
    columns = np.moveaxis(view, range(2, 2 + rank), range(2 + rank, 2 + 2 * rank))  # n, c, *kernel, *out
    flat = columns.reshape(batch, groups, per_group * int(np.prod(kernel)), -1)
    return _grouped_product(weight, flat, groups, (batch, outputs, *spatial))


def _grouped_product(weight: Array, columns: Array, groups: int, shape: tuple[int, ...]) -> Array:
    matrix = weight.reshape(groups, weight.shape[0] // groups, -1)
    if groups == 1:
        return np.matmul(matrix[0], columns[:, 0]).reshape(shape)
    return np.matmul(matrix, columns).reshape(shape)


def _depthwise(x: Array, weight: Array, strides: list[int], dilations: list[int]) -> Array:
    kernel = weight.shape[2:]
    view = windows(x, kernel, strides, dilations)
    spatial = view.shape[2 : 2 + len(kernel)]
    total: Array = np.zeros((*x.shape[:2], *spatial), np.float32)
    rows = weight[:, 0]
    for tap in np.ndindex(*kernel):
        place: Any = (..., *tap)
        total += view[place] * along(rows[place], 1, x.ndim)
    return total


def _with_bias(result: Array, bias: Array | None) -> Array:
    return result if bias is None else result + along(bias, 1, result.ndim)


def _pointwise_of_constants(constants: Mapping[str, Any]) -> Function | None:
    """A 1×1 convolution without padding, strides or groups is one matrix product."""
    weight = constants.get("weight")
    if weight is None or "x" in constants or any(k != 1 for k in weight.shape[2:]):
        return None
    if integer(constants.get("groups", 1)) != 1 or any(s != 1 for s in integers(constants.get("strides", 1))):
        return None
    padded = any(integers(constants.get("pad", 0))) and str(constants.get("pad_type", "valid")).lower() == "custom"
    if padded:
        return None
    matrix = weight.reshape(weight.shape[:2])
    bias = constants.get("bias")
    column = None if bias is None else bias.reshape(-1, 1)

    def apply(x: Array, bias: Array | None = None) -> Array:
        product = np.matmul(matrix, x.reshape(x.shape[0], x.shape[1], -1))
        if column is not None:
            product += column
        elif bias is not None:
            product += bias.reshape(-1, 1)
        return product.reshape(x.shape[0], -1, *x.shape[2:])

    return apply


@op("conv", specialise=_pointwise_of_constants, note="1 to 3 spatial axes; pad types valid, same, same_lower, custom")
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
    step, spread = _filled(strides, rank), _filled(dilations, rank)
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
    step, spread = _filled(strides, rank), _filled(dilations, rank)
    full = _scatter_taps(x, weight, step, spread, parts)
    wanted = integers(output_shape)[2:] if output_shape is not None else None
    crop = _crops(str(pad_type).lower(), pad, x.shape[2:], full.shape[2:], step, wanted)
    lacking = [max(end - size, 0) for (_, end), size in zip(crop, full.shape[2:], strict=True)]
    full = pad_spatial(full, [(0, n) for n in lacking])
    inside = tuple(slice(start, end) for start, end in crop)
    return _with_bias(full[_BOTH + inside], bias)


def _scatter_taps(x: Array, weight: Array, step: list[int], spread: list[int], groups: int) -> Array:
    inputs, per_group, *kernel = weight.shape
    batch, channels, *sizes = x.shape
    if inputs != channels or channels % groups:
        raise ValueError(f"{channels} channels in {groups} groups don't fit the weight {list(weight.shape)}")
    shape = [(n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(sizes, step, kernel, spread, strict=True)]
    full = np.zeros((batch, per_group * groups, *shape), np.float32)
    flat = x.reshape(batch, groups, channels // groups, -1)
    matrix = np.swapaxes(weight.reshape(groups, channels // groups, per_group, *kernel), 1, 2)
    for tap in np.ndindex(*kernel):
        corner: Any = (..., *tap)
        part = np.matmul(matrix[corner], flat).reshape(batch, per_group * groups, *sizes)
        place = tuple(
            slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, n, s in zip(tap, spread, sizes, step, strict=True)
        )
        full[_BOTH + place] += part
    return full


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
