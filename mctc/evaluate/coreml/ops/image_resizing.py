"""Resizing the last axes."""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

from typing import Any

import numpy as np

from mctc.evaluate.coreml.declaration import op
from mctc.evaluate.coreml.ops.arguments import flag, integer, integers, number, positive
from mctc.evaluate.coreml.precision import Array


def grid(size: float, count: int, mode: str) -> Array:
    """Where `count` samples are taken on an axis of `size` elements (resize_bilinear's documented modes).

    An axis that runs backwards from 0 to n has the size n + 1, as one that runs forwards.
    """
    places = np.arange(count, dtype=np.float64)
    if mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
        if count == 1:
            return np.full(1, (size - 1) / 2 if mode == "ALIGN_CORNERS" else 0.0)
        points = places * ((size - 1) / (count - 1))
    elif mode == "DEFAULT":
        points = places * (size / count)
    elif mode == "OFFSET_CORNERS":
        delta = max(1, size - 1) / count
        points = delta / 2 + places * delta
    elif mode == "UNALIGN_CORNERS":
        points = (places + 0.5) * (size / count) - 0.5
    else:
        raise ValueError(f"there is no sampling mode '{mode}'")
    return np.clip(points, min(0, size - 1), max(0, size - 1))


def interpolate(x: Array, axis: int, points: Array) -> Array:
    """x sampled at fractional places of one axis, linearly between the neighbours."""
    low = np.floor(points).astype(np.int64)
    high = np.minimum(low + 1, x.shape[axis] - 1)
    shape = [1] * x.ndim
    shape[axis] = -1
    share = (points - low).astype(np.float32).reshape(shape)
    return np.take(x, low, axis) * (np.float32(1) - share) + np.take(x, high, axis) * share


def _bilinear(x: Array, height: int, width: int, mode: str) -> Array:
    rows = interpolate(x, x.ndim - 2, grid(x.shape[-2], height, mode))
    return interpolate(rows, x.ndim - 1, grid(x.shape[-1], width, mode))


def _nearest(x: Array, axis: int, count: int, mode: str = "DEFAULT") -> Array:
    """The element in which the centre of each new one lies; with corners aligned, the one nearest to the sample.

    The centres are those of coremltools' test of resize with the mode DEFAULT (2 elements to 3 give 0, 1, 1), and of
    its TensorFlow frontend, which makes resize_nearest_neighbor of half-pixel centres.
    """
    size = x.shape[axis]
    if mode in ("DEFAULT", "UNALIGN_CORNERS"):
        return np.take(x, (2 * np.arange(count) + 1) * size // (2 * count), axis)
    return np.take(x, np.floor(grid(size, count, mode) + 0.5).astype(np.int64), axis)


@op("resize_nearest_neighbor", exact=True)
def resize_nearest_neighbor(x: Array, target_size_height: Any, target_size_width: Any) -> Array:
    """The last two axes at a given size, each element the one at floor((i + 1/2) * size / target)."""
    (height,), (width,) = positive(target_size_height, "height"), positive(target_size_width, "width")
    return _nearest(_nearest(x, x.ndim - 2, height), x.ndim - 1, width)


@op("resize_bilinear", note="all five sampling modes")
def resize_bilinear(
    x: Array, target_size_height: Any = 1, target_size_width: Any = 1, sampling_mode: str = "DEFAULT"
) -> Array:
    """The last two axes at a given size, linearly interpolated."""
    (height,), (width,) = positive(target_size_height, "height"), positive(target_size_width, "width")
    return _bilinear(x, height, width, sampling_mode)


def scaled(extent: int, factor: Any) -> int:
    count = int(np.floor(np.asarray(factor).reshape(-1)[0] * extent))
    if count < 1:
        raise ValueError(f"{extent} elements times {np.asarray(factor).reshape(-1)[0]} are none")
    return count


@op("upsample_nearest_neighbor", exact=True)
def upsample_nearest_neighbor(x: Array, scale_factor_height: Any = 1, scale_factor_width: Any = 1) -> Array:
    """The last two axes by factors, each element the one at floor(i * size / new size)."""
    height, width = scaled(x.shape[-2], scale_factor_height), scaled(x.shape[-1], scale_factor_width)
    rows, columns = (np.arange(n) * size // n for n, size in zip((height, width), x.shape[-2:], strict=True))
    return x[..., rows[:, None], columns]


@op("upsample_bilinear", note="align_corners, half_pixel_centers")
def upsample_bilinear(
    x: Array,
    scale_factor_height: Any = 1,
    scale_factor_width: Any = 1,
    align_corners: Any = True,
    half_pixel_centers: Any = None,
) -> Array:
    """resize_bilinear by factors; half-pixel centres unless corners are aligned or told otherwise."""
    height, width = scaled(x.shape[-2], scale_factor_height), scaled(x.shape[-1], scale_factor_width)
    half = not flag(align_corners) if half_pixel_centers is None else flag(half_pixel_centers)
    mode = "STRICT_ALIGN_CORNERS" if flag(align_corners) else "UNALIGN_CORNERS" if half else "DEFAULT"
    return _bilinear(x, height, width, mode)


@op("resize", since="iOS17", note="modes as resize_bilinear; any number of trailing axes")
def resize(
    x: Array, shape: Any, resized_dims: Any, interpolation_mode: str = "LINEAR", sampling_mode: str = "DEFAULT"
) -> Array:
    """The last `resized_dims` axes at the sizes that end `shape`; 0 keeps an axis."""
    count = integer(resized_dims)
    sizes = integers(shape)[-count:] if count else []
    result = x
    for axis, size in zip(range(x.ndim - count, x.ndim), sizes, strict=True):
        if size in (0, x.shape[axis]):
            continue
        if interpolation_mode == "NEAREST_NEIGHBOR":
            result = _nearest(result, axis, size, sampling_mode)
        elif interpolation_mode == "LINEAR":
            result = interpolate(result, axis, grid(x.shape[axis], size, sampling_mode))
        else:
            raise ValueError(f"there is no interpolation mode '{interpolation_mode}'")
    return result


_CORNERS = {"CORNERS_HEIGHT_FIRST": (0, 1, 2, 3), "CORNERS_WIDTH_FIRST": (1, 0, 3, 2)}
_CENTERS = {"CENTER_SIZE_HEIGHT_FIRST": (0, 1, 2, 3), "CENTER_SIZE_WIDTH_FIRST": (1, 0, 3, 2)}


def _corners(boxes: Array, mode: str) -> Array:
    """Boxes as (top, left, bottom, right)."""
    if mode in _CORNERS:
        return boxes[:, _CORNERS[mode]]
    if mode not in _CENTERS:
        raise ValueError(f"there is no box coordinate mode '{mode}'")
    center, size = np.split(boxes[:, _CENTERS[mode]], 2, axis=1)
    return np.concatenate([center - size / 2, center + size / 2], axis=1)


def _crop(x: Array, box: Array, target: tuple[int, int], mode: str, outside: np.float32) -> Array:
    """The last two axes sampled within (top, left, bottom, right); what lies off the image is `outside`."""
    result, rank = x, x.ndim
    for axis, start, end, count in ((rank - 2, box[0], box[2], target[0]), (rank - 1, box[1], box[3], target[1])):
        last = x.shape[axis] - 1
        points = start + grid(end - start + 1, count, mode)
        inside = (points >= 0) & (points <= last)
        shape = [1] * rank
        shape[axis] = -1
        result = np.where(inside.reshape(shape), interpolate(result, axis, np.clip(points, 0, last)), outside)
    return result


@op(
    "crop_resize",
    note="boxes in all four conventions, all five sampling modes; samples off the image are pad_value, or 0",
)
def crop_resize(
    x: Array,
    roi: Array | None = None,
    boxes: Array | None = None,
    box_indices: Any = None,
    target_height: Any = 1,
    target_width: Any = 1,
    normalized_coordinates: Any = False,
    spatial_scale: Any = 1.0,
    box_coordinate_mode: str = "CORNERS_HEIGHT_FIRST",
    sampling_mode: str = "DEFAULT",
    pad_value: Any = 0.0,
) -> Array:
    """Boxes cut out of images and resized, linearly interpolated.

    Until iOS 16 roi (n, 1, 4 or 5, 1, 1) holds the boxes, with the image's index in front or for every image; the
    result is (n, images, channels, height, width). From iOS 17 on boxes are (n, 4) and there is no axis of images.
    """
    given = boxes if roi is None else roi
    if given is None:
        raise ValueError("neither roi nor boxes are given")
    table = given.astype(np.float64).reshape(len(given), -1)
    indices = integers(np.arange(len(table)) if box_indices is None else box_indices) if roi is None else None
    if table.shape[1] == 5:
        indices, table = integers(table[:, 0]), table[:, 1:]
    corners = _corners(table, box_coordinate_mode) * float(number(spatial_scale))
    if flag(normalized_coordinates):
        corners = corners * np.tile([x.shape[-2] - 1, x.shape[-1] - 1], 2)
    target = integer(target_height), integer(target_width)
    cut = [
        _crop(x if indices is None else x[indices[n] : indices[n] + 1], box, target, sampling_mode, number(pad_value))
        for n, box in enumerate(corners)
    ]
    return np.stack(cut) if roi is not None else np.concatenate(cut)
