"""Compressed constants: what the program stores is turned into the weight it stands for."""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from mctc.evaluate.coreml.declaration import op
from mctc.evaluate.coreml.ops.arguments import along, integer, integers
from mctc.evaluate.coreml.precision import Array
from mctc.package.bits import unpack


@op("constexpr_affine_dequantize", since="iOS16", result="scale")
def affine_dequantize(quantized_data: Array, zero_point: Any, scale: Any, axis: Any) -> Array:
    """scale * (data - zero_point), one of each or one per slice of an axis."""
    place = integer(axis)
    scales, zeros = (
        along(np.asarray(value), place, quantized_data.ndim) if np.ndim(value) else np.asarray(value)
        for value in (scale, zero_point)
    )
    return (quantized_data.astype(np.float32) - zeros.astype(np.float32)) * scales


def _blocks(values: Array, shape: tuple[int, ...]) -> Array:
    """One value per block, repeated to one per element of a tensor of this shape (leading axes)."""
    for axis, extent in enumerate(shape):
        if not values.shape[axis] or extent % values.shape[axis]:
            raise ValueError(f"axis {axis}: {extent} elements can't be cut into {values.shape[axis]} blocks")
        repeats = extent // values.shape[axis]
        if repeats > 1 and values.shape[axis] > 1:
            values = np.repeat(values, repeats, axis=axis)
    return values


@op("constexpr_blockwise_shift_scale", since="iOS18", result="scale", note="any block size, int4 and int8, per channel")
def blockwise_shift_scale(data: Array, scale: Array, offset: Array | None = None) -> Array:
    """scale * (data - offset), one of each per block; a block is data.shape / scale.shape."""
    if data.ndim != scale.ndim:
        raise ValueError(f"data has rank {data.ndim}, scale {scale.ndim}")
    values = data
    if offset is not None:
        values = data.astype(np.float32) - _blocks(offset.astype(np.float32), data.shape)
    return np.multiply(values, _blocks(scale, data.shape), dtype=np.float32)  # codes are converted a buffer at a time


@op("constexpr_lut_to_dense", since="iOS16", result="lut", exact=True, note="palettes of 1 to 8 bits, grouped, vectors")
def lut_to_dense(indices: Array, lut: Array, shape: Any = None, vector_axis: Any = None) -> Array:
    """Palette entries in place of indices.

    iOS 16: `indices` is a packed vector, `lut` a vector, and `shape` is given. iOS 18: lut has the rank of the indices
    plus two, [blocks…, palette size, vector size], and a vector entry spreads along `vector_axis`.
    """
    if shape is not None:
        extents = integers(shape)
        bits = (lut.size - 1).bit_length()
        return lut[unpack(indices, bits, prod(extents))].reshape(extents)
    if lut.ndim != indices.ndim + 2:
        raise ValueError(f"lut has rank {lut.ndim}, the indices {indices.ndim}; two more are needed")
    if indices.size and int(indices.max()) >= lut.shape[-2]:
        raise ValueError(f"index {int(indices.max())} into a palette of {lut.shape[-2]}")
    dense = _looked_up(indices, lut)
    if lut.shape[-1] == 1:
        return dense[..., 0]
    if vector_axis is None:
        raise ValueError("a palette of vectors needs vector_axis")
    place = integer(vector_axis) % indices.ndim
    spread = np.moveaxis(dense, -1, place + 1)
    return spread.reshape(*indices.shape[:place], indices.shape[place] * lut.shape[-1], *indices.shape[place + 1 :])


def _looked_up(indices: Array, lut: Array) -> Array:
    groups = lut.shape[: indices.ndim]
    if prod(groups) == 1:
        return lut.reshape(lut.shape[-2:])[indices]
    numbers = _blocks(np.arange(prod(groups)).reshape(groups), indices.shape)
    flat = lut.reshape(-1, *lut.shape[-2:])
    return flat[np.broadcast_to(numbers, indices.shape), indices]


@op("constexpr_sparse_to_dense", since="iOS16", result="nonzero_data", exact=True)
def sparse_to_dense(nonzero_data: Array, mask: Array, shape: Any = None) -> Array:
    """Values put where the mask is set, zeros elsewhere. iOS 16 packs the mask into bits and gives `shape`."""
    if shape is not None:
        extents = integers(shape)
        mask = unpack(np.asarray(mask), 1, prod(extents)).reshape(extents)
    dense = np.zeros(mask.shape, nonzero_data.dtype)
    dense[mask != 0] = nonzero_data
    return dense


@op("constexpr_lut_to_sparse", since="iOS18", result=("uint1", "lut"), exact=True)
def lut_to_sparse(
    indices_mask: Array, indices_nonzero_data: Array, lut: Array, vector_axis: Any = None
) -> tuple[Array, Array]:
    """Palette entries for the indices that a mask leaves: the mask (spread for vectors) and the values."""
    dense = lut_to_dense(sparse_to_dense(indices_nonzero_data, indices_mask), lut, vector_axis=vector_axis)
    mask = indices_mask
    if lut.shape[-1] > 1:
        mask = np.repeat(mask, lut.shape[-1], axis=integer(vector_axis))
    return mask, dense[mask != 0]


@op("constexpr_sparse_blockwise_shift_scale", since="iOS18", result=("uint1", "scale"))
def sparse_blockwise_shift_scale(
    data_mask: Array, nonzero_data: Array, scale: Array, offset: Array | None = None
) -> tuple[Array, Array]:
    """blockwise_shift_scale on the values that a mask leaves: the mask and the values."""
    dense = blockwise_shift_scale(sparse_to_dense(nonzero_data, data_mask), scale, offset)
    return data_mask, dense[data_mask != 0]


@op("constexpr_cast", since="iOS16", result=lambda _types, constants: (str(constants.get("output_dtype", "fp32")),))
def constexpr_cast(source_val: Array, output_dtype: str = "fp32") -> Array:
    """A stored fp16 tensor as fp32."""
    return source_val.astype(np.float32)
