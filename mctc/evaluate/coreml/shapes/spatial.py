"""Shapes of what convolutions, pools and resizes make. Operands as the ops take them; only `x` may be a stand-in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mctc.evaluate.coreml.ops.arguments import flag, integer, integers
from mctc.evaluate.coreml.ops.image_resizing import scaled
from mctc.evaluate.coreml.ops.pool import amounts
from mctc.evaluate.coreml.ops.windows import paddings
from mctc.evaluate.coreml.precision import Array
from mctc.evaluate.coreml.shapes.known import Extents


def _filled(value: Any, count: int) -> list[int]:
    return integers(value) if value is not None else [1] * count


def _windows(
    sizes: Sequence[int], around: Sequence[tuple[int, int]], reach: Sequence[int], strides: Sequence[int]
) -> Extents:
    """How many windows lie inside each padded axis. Raises ValueError where none does."""
    found = []
    for size, (before, after), extent, stride in zip(sizes, around, reach, strides, strict=True):
        if size + before + after < extent:
            raise ValueError(f"a window of {extent} doesn't fit into {size + before + after}")
        found.append((size + before + after - extent) // stride + 1)
    return tuple(found)


def conv(
    x: Array,
    weight: Array,
    strides: Any = None,
    pad_type: str = "valid",
    pad: Any = None,
    dilations: Any = None,
    groups: Any = 1,
    **_: Any,
) -> list[Extents]:
    """[n, out, *spatial]."""
    if x.shape[1] != weight.shape[1] * integer(groups):
        raise ValueError(f"{x.shape[1]} channels in {integer(groups)} groups don't fit the weight {list(weight.shape)}")
    sizes, kernel = x.shape[2:], weight.shape[2:]
    steps = _filled(strides, len(sizes))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, _filled(dilations, len(sizes)), strict=True)]
    around = paddings(pad_type, pad, sizes, reach, steps)
    return [(x.shape[0], weight.shape[0], *_windows(sizes, around, reach, steps))]


def conv_transpose(
    x: Array,
    weight: Array,
    pad: Any = None,
    output_shape: Any = None,
    pad_type: str = "valid",
    strides: Any = None,
    dilations: Any = None,
    groups: Any = 1,
    **_: Any,
) -> list[Extents]:
    """[n, out, *spatial]; the spatial extents are those of output_shape where it is given."""
    sizes, kind = x.shape[2:], str(pad_type).lower()
    steps, spread = _filled(strides, len(sizes)), _filled(dilations, len(sizes))
    outputs = weight.shape[1] * integer(groups)
    if output_shape is not None:
        return [(x.shape[0], outputs, *integers(output_shape)[2:])]
    if kind == "same":
        return [(x.shape[0], outputs, *(n * s for n, s in zip(sizes, steps, strict=True)))]
    flat = integers(pad) if kind == "custom" and pad is not None else [0] * (2 * len(sizes))
    rows = zip(sizes, steps, weight.shape[2:], spread, flat[::2], flat[1::2], strict=True)
    return [(x.shape[0], outputs, *((n - 1) * s + (k - 1) * d + 1 - a - b for n, s, k, d, a, b in rows))]


def pool(
    x: Array,
    kernel_sizes: Any,
    pad_type: str = "valid",
    strides: Any = None,
    pad: Any = None,
    ceil_mode: Any = False,
    **_: Any,
) -> list[Extents]:
    """[n, c, *spatial]."""
    kernel = integers(kernel_sizes)
    steps = _filled(strides, len(kernel))
    around = amounts(x, kernel, steps, pad_type, pad, flag(ceil_mode))
    return [(*x.shape[:2], *_windows(x.shape[2:], around, kernel, steps))]


def resized(x: Array, target_size_height: Any = 1, target_size_width: Any = 1, **_: Any) -> list[Extents]:
    return [(*x.shape[:-2], integer(target_size_height), integer(target_size_width))]


def upsampled(x: Array, scale_factor_height: Any = 1, scale_factor_width: Any = 1, **_: Any) -> list[Extents]:
    height, width = x.shape[-2:]
    return [(*x.shape[:-2], scaled(height, scale_factor_height), scaled(width, scale_factor_width))]


def resize(x: Array, shape: Any, resized_dims: Any, **_: Any) -> list[Extents]:
    """A 0 keeps an axis."""
    count = integer(resized_dims)
    sizes = integers(shape)[-count:] if count else []
    kept = x.shape[x.ndim - count :]
    return [(*x.shape[: x.ndim - count], *(new or old for new, old in zip(sizes, kept, strict=True)))]


def crop_resize(
    x: Array,
    roi: Array | None = None,
    boxes: Array | None = None,
    target_height: Any = 1,
    target_width: Any = 1,
    **_: Any,
) -> list[Extents]:
    """[boxes, images, channels, height, width] until iOS 16, without the axis of images from iOS 17 on."""
    target = integer(target_height), integer(target_width)
    if roi is not None:
        images = 1 if roi.reshape(roi.shape[0], -1).shape[1] == 5 else x.shape[0]
        return [(roi.shape[0], images, x.shape[1], *target)]
    if boxes is None:
        raise ValueError("neither roi nor boxes are given")
    return [(boxes.shape[0], x.shape[1], *target)]


def resample(x: Array, coordinates: Array, **_: Any) -> list[Extents]:
    return [(*x.shape[:2], *coordinates.shape[1:3])]


def affine(x: Array, output_height: Any, output_width: Any, **_: Any) -> list[Extents]:
    return [(*x.shape[:2], integer(output_height), integer(output_width))]


def space_to_batch(x: Array, block_shape: Any, paddings: Any, **_: Any) -> list[Extents]:
    tall, wide = integers(block_shape)
    top, bottom, left, right = integers(paddings)
    n, c, h, w = x.shape
    return [(n * tall * wide, c, (h + top + bottom) // tall, (w + left + right) // wide)]
