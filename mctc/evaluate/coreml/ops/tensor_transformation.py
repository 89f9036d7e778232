"""Moving elements about: shapes, slices, joins and splits."""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mctc.evaluate.coreml.declaration import Function, op
from mctc.evaluate.coreml.ops.arguments import flag, integer, integers, positive
from mctc.evaluate.coreml.precision import Array


def _reshape_of_constants(constants: Mapping[str, Any]) -> Function | None:
    wanted = integers(constants["shape"]) if "shape" in constants and "x" not in constants else [0]
    return None if 0 in wanted else lambda x: x.reshape(wanted)


@op("reshape", exact=True, specialise=_reshape_of_constants, note="0 takes the operand's extent, -1 what is left")
def reshape(x: Array, shape: Any) -> Array:
    """The same elements in another shape; a 0 copies the extent of x at the same place counted from the end."""
    wanted = integers(shape)
    if 0 in wanted and (x.size or -1 in wanted):
        wanted = [
            n if n else (x.shape[place - len(wanted)] if len(wanted) - place <= x.ndim else 1)
            for place, n in enumerate(wanted)
        ]
    return x.reshape(wanted)


@op("reshape_like", since="iOS16", exact=True, lists=("ref_tensors", "begins", "ends", "end_masks"))
def reshape_like(
    x: Array, ref_tensors: list[Array], begins: list[Array], ends: list[Array], end_masks: list[Array]
) -> Array:
    """The shape is joined from slices of the shapes of other tensors."""
    shape: list[int] = []
    for reference, begin, end, mask in zip(ref_tensors, begins, ends, end_masks, strict=True):
        shape += reference.shape[integer(begin) : None if flag(mask) else integer(end)]
    return x.reshape(shape)


@op("transpose", exact=True)
def transpose(x: Array, perm: Any) -> Array:
    """Axes in another order."""
    return x.transpose(integers(perm))


@op("expand_dims", exact=True)
def expand_dims(x: Array, axes: Any) -> Array:
    """New axes of extent 1 at these places of the result."""
    return np.expand_dims(x, tuple(integers(axes)))


@op("squeeze", exact=True)
def squeeze(x: Array, axes: Any = None) -> Array:
    """Axes of extent 1 removed; a named axis of another extent stays."""
    named = range(x.ndim) if axes is None else [axis % x.ndim for axis in integers(axes)]
    return x.squeeze(axis=tuple(axis for axis in named if x.shape[axis] == 1))


@op("flatten2d", exact=True)
def flatten2d(x: Array, axis: Any = 1) -> Array:
    """A matrix: the axes before `axis` against the rest."""
    cut = integer(axis)
    cut = cut + x.ndim if cut < 0 else cut
    return x.reshape(prod(x.shape[:cut]), prod(x.shape[cut:]))


def _concat_of_constants(constants: Mapping[str, Any]) -> Function | None:
    if "values" in constants or "axis" not in constants or flag(constants.get("interleave", False)):
        return None
    place = integer(constants["axis"])
    return lambda values: np.concatenate(values, axis=place) if values[0].ndim else np.stack(values)


@op("concat", result="values", exact=True, lists=("values",), specialise=_concat_of_constants)
def concat(values: list[Array], axis: Any, interleave: Any = False) -> Array:
    """Tensors joined along an axis, one after the other or element by element."""
    place = integer(axis)
    if values[0].ndim == 0:
        return np.stack(values)
    if flag(interleave):
        place = place % values[0].ndim
        joined = np.stack(values, axis=place + 1)
        shape = list(values[0].shape)
        shape[place] *= len(values)
        return joined.reshape(shape)
    return np.concatenate(values, axis=place)


def _split_of_constants(constants: Mapping[str, Any]) -> Function | None:
    if "x" in constants or "axis" not in constants or not constants.keys() & {"split_sizes", "num_splits"}:
        return None
    place, cuts = integer(constants["axis"]), dict[tuple[int, ...], list[Any]]()

    def apply(x: Array) -> tuple[Array, ...]:
        if x.shape not in cuts:
            ends = np.cumsum([part.shape[place] for part in split(x, **constants)]).tolist()
            before = (slice(None),) * (place % x.ndim)
            cuts[x.shape] = [(*before, slice(start, end)) for start, end in zip([0, *ends], ends)]
        return tuple(x[part] for part in cuts[x.shape])

    return apply


@op("split", exact=True, specialise=_split_of_constants)
def split(x: Array, axis: Any, num_splits: Any = None, split_sizes: Any = None) -> tuple[Array, ...]:
    """Parts of equal or given sizes along an axis."""
    place = integer(axis)
    if split_sizes is not None:
        sizes = integers(split_sizes)
    elif num_splits is not None and x.shape[place] % integer(num_splits) == 0:
        sizes = [x.shape[place] // integer(num_splits)] * integer(num_splits)
    else:
        raise ValueError(f"{x.shape[place]} elements can't be split into {num_splits} parts")
    if sum(sizes) != x.shape[place]:
        raise ValueError(f"the sizes {sizes} don't add up to {x.shape[place]}")
    return tuple(np.split(x, np.cumsum(sizes)[:-1], axis=place))


@op("stack", result="values", exact=True, lists=("values",))
def stack(values: list[Array], axis: Any) -> Array:
    """Tensors side by side along a new axis."""
    return np.stack(values, axis=integer(axis))


@op("tile", exact=True)
def tile(x: Array, reps: Any) -> Array:
    """x repeated along each axis."""
    counts = positive(reps, "reps")
    if len(counts) != x.ndim:
        raise ValueError(f"reps has {len(counts)} numbers for {x.ndim} axes")
    return np.tile(x, counts)


@op("reverse", exact=True)
def reverse(x: Array, axes: Any = None) -> Array:
    """The order turned round along axes (all without)."""
    return np.flip(x, None if axes is None else tuple(integers(axes)))


@op("reverse_sequence", exact=True)
def reverse_sequence(x: Array, lengths: Array, seq_axis: Any = 0, batch_axis: Any = 0) -> Array:
    """The first lengths[i] elements of each sequence turned round, the rest left."""
    result = np.moveaxis(x, (integer(batch_axis), integer(seq_axis)), (0, 1)).copy()
    for item, length in enumerate(integers(lengths)):
        result[item, :length] = result[item, :length][::-1]
    return np.moveaxis(result, (0, 1), (integer(batch_axis), integer(seq_axis)))


def slices(
    rank: int, begin: Any, end: Any, stride: Any, begin_mask: Any, end_mask: Any, squeeze_mask: Any
) -> tuple[slice | int, ...]:
    """The index that begin, end, stride and the masks of slice_by_index stand for."""
    starts, ends = integers(begin), integers(end)
    if len(starts) != rank or len(ends) != rank:
        raise ValueError(f"begin and end need {rank} numbers each, they have {len(starts)} and {len(ends)}")
    steps = integers(stride) if stride is not None else [1] * rank
    from_edge, to_edge, single = (
        integers(mask) if mask is not None else [0] * rank for mask in (begin_mask, end_mask, squeeze_mask)
    )
    found: list[slice | int] = []
    for axis in range(rank):
        if single[axis]:
            found.append(0 if from_edge[axis] else starts[axis])
        else:
            start = None if from_edge[axis] else starts[axis]
            found.append(slice(start, None if to_edge[axis] else ends[axis], steps[axis]))
    return tuple(found)


_PLACE = ("begin", "end", "stride", "begin_mask", "end_mask", "squeeze_mask")


def _slice_of_constants(constants: Mapping[str, Any]) -> Function | None:
    if "x" in constants or "begin" not in constants or "end" not in constants:
        return None
    rank = len(integers(constants["begin"]))
    index = slices(rank, *(constants.get(key) for key in _PLACE))

    def apply(x: Array, **dynamic: Any) -> Array:
        if dynamic or x.ndim != rank:
            return slice_by_index(x, **{**constants, **dynamic})
        return np.asarray(x[index])

    return apply


@op(
    "slice_by_index",
    exact=True,
    specialise=_slice_of_constants,
    note="strides, begin, end and squeeze masks; negative indices count from the end",
)
def slice_by_index(
    x: Array,
    begin: Any,
    end: Any,
    stride: Any = None,
    begin_mask: Any = None,
    end_mask: Any = None,
    squeeze_mask: Any = None,
) -> Array:
    """x[begin:end:stride] on every axis."""
    return np.asarray(x[slices(x.ndim, begin, end, stride, begin_mask, end_mask, squeeze_mask)])


@op("slice_update", since="iOS18", exact=True, same=("x", "update"))
def slice_update(
    x: Array,
    update: Array,
    begin: Any,
    end: Any,
    stride: Any = None,
    begin_mask: Any = None,
    end_mask: Any = None,
    squeeze_mask: Any = None,
) -> Array:
    """x with x[begin:end:stride] replaced."""
    result = x.copy()
    place = slices(x.ndim, begin, end, stride, begin_mask, end_mask, squeeze_mask)
    result[place] = np.reshape(update, np.shape(result[place]))
    return result


@op("slice_by_size", exact=True, note="a size of -1 reaches to the end")
def slice_by_size(x: Array, begin: Any, size: Any) -> Array:
    """x[begin : begin + size] on every axis."""
    index = []
    for extent, start, length in zip(x.shape, integers(begin), integers(size), strict=True):
        first = start + extent if start < 0 else start
        last = extent if length == -1 else first + length
        if not 0 <= first <= last <= extent:
            raise ValueError(f"elements {first} to {last} are wanted of an axis of {extent}")
        index.append(slice(first, last))
    return x[tuple(index)]


@op("sliding_windows", exact=True)
def sliding_windows(x: Array, axis: Any, size: Any, stride: Any = 1) -> Array:
    """Every window along an axis; the elements of a window become the axis after it."""
    place = integer(axis) % x.ndim
    (extent,), (step,) = positive(size, "size"), positive(stride, "stride")
    view = np.moveaxis(sliding_window_view(x, extent, axis=place), -1, place + 1)
    index = (*[slice(None)] * place, slice(None, None, step))
    return view[index]


@op("depth_to_space", exact=True)
def depth_to_space(x: Array, block_size: Any) -> Array:
    """Channels to blocks of pixels, the block's place in the slower channels."""
    n, c, h, w = x.shape
    (b,) = positive(block_size, "block_size")
    return x.reshape(n, b, b, c // (b * b), h, w).transpose(0, 3, 4, 1, 5, 2).reshape(n, c // (b * b), h * b, w * b)


@op("space_to_depth", exact=True)
def space_to_depth(x: Array, block_size: Any) -> Array:
    """The inverse of depth_to_space."""
    n, c, h, w = x.shape
    (b,) = positive(block_size, "block_size")
    return x.reshape(n, c, h // b, b, w // b, b).transpose(0, 3, 5, 1, 2, 4).reshape(n, c * b * b, h // b, w // b)


@op("pixel_shuffle", exact=True)
def pixel_shuffle(x: Array, upscale_factor: Any) -> Array:
    """Channels to blocks of pixels, the block's place in the faster channels."""
    n, c, h, w = x.shape
    f = positive(upscale_factor, "upscale_factor")[0]
    return x.reshape(n, c // (f * f), f, f, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(n, c // (f * f), h * f, w * f)


@op("pixel_unshuffle", since="iOS16", exact=True)
def pixel_unshuffle(x: Array, downscale_factor: Any) -> Array:
    """The inverse of pixel_shuffle."""
    n, c, h, w = x.shape
    f = positive(downscale_factor, "downscale_factor")[0]
    return x.reshape(n, c, h // f, f, w // f, f).transpose(0, 1, 3, 5, 2, 4).reshape(n, c * f * f, h // f, w // f)


@op("space_to_batch", exact=True)
def space_to_batch(x: Array, block_shape: Any, paddings: Any) -> Array:
    """Pads with zeros, then moves the places within blocks of pixels to the batch axis."""
    tall, wide = integers(block_shape)
    around = np.asarray(paddings).reshape(2, 2).astype(int)
    padded = np.pad(x, [(0, 0), (0, 0), *map(tuple, around)])
    n, c, h, w = padded.shape
    parts = padded.reshape(n, c, h // tall, tall, w // wide, wide).transpose(3, 5, 0, 1, 2, 4)
    return parts.reshape(n * tall * wide, c, h // tall, w // wide)


@op("batch_to_space", exact=True)
def batch_to_space(x: Array, block_shape: Any, crops: Any) -> Array:
    """The inverse of space_to_batch: pixels back from the batch axis, then cropped."""
    tall, wide = integers(block_shape)
    (top, bottom), (left, right) = np.asarray(crops).reshape(2, 2).astype(int).tolist()
    n, c, h, w = x.shape
    items = n // (tall * wide)
    full = x.reshape(tall, wide, items, c, h, w).transpose(2, 3, 4, 0, 5, 1).reshape(items, c, h * tall, w * wide)
    return full[:, :, top : h * tall - bottom, left : w * wide - right]


@op("crop", exact=True)
def crop(x: Array, crop_height: Any, crop_width: Any) -> Array:
    """Rows and columns cut off the last two axes: [before, after] each."""
    (top, bottom), (left, right) = integers(crop_height), integers(crop_width)
    return x[..., top : x.shape[-2] - bottom, left : x.shape[-1] - right]
