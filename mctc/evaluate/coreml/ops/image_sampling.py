"""Sampling images at computed places."""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

from typing import Any

import numpy as np

from mctc.evaluate.coreml.declaration import op
from mctc.evaluate.coreml.ops.arguments import flag, integer, number
from mctc.evaluate.coreml.precision import Array


def _pixels(places: Array, size: int, mode: str, aligned: bool) -> Array:
    """Coordinates in the units of pixels, 0 being the centre of the first."""
    if mode == "unnormalized":
        return places.astype(np.float32)
    if mode not in ("normalized_minus_one_to_one", "normalized_zero_to_one"):
        raise ValueError(f"there is no coordinates_mode '{mode}'")
    share = (places + 1) / 2 if mode == "normalized_minus_one_to_one" else places
    return (share * (size - 1) if aligned else share * size - np.float32(0.5)).astype(np.float32)


def _inside(index: Array, size: int, mode: str) -> Array:
    """Indices beyond an edge brought inside as the padding mode says."""
    if mode in ("constant", "border") or size == 1:
        return np.clip(index, 0, size - 1)
    if mode == "reflection":  # 3 2 1 2 3 2 1: the edge once
        turn = np.mod(index, 2 * (size - 1))
        return np.minimum(turn, 2 * (size - 1) - turn)
    if mode == "symmetric":  # 2 1 1 2 3 3 2: the edge twice
        turn = np.mod(index, 2 * size)
        return np.minimum(turn, 2 * size - 1 - turn)
    raise ValueError(f"there is no padding_mode '{mode}'")


def _taken(x: Array, rows: Array, columns: Array, mode: str, value: np.float32) -> Array:
    """x[b, :, rows[b], columns[b]] for every item; rows and columns are [b, h, w]."""
    height, width = x.shape[-2:]
    items = np.arange(x.shape[0])[:, None, None]
    channels_last = np.moveaxis(x, 1, -1)
    found = np.moveaxis(channels_last[items, _inside(rows, height, mode), _inside(columns, width, mode)], -1, 1)
    if mode != "constant":
        return found
    outside = (rows < 0) | (rows >= height) | (columns < 0) | (columns >= width)
    return np.where(outside[:, None], value, found)


def _sample(x: Array, rows: Array, columns: Array, sampling: str, padding: str, value: np.float32) -> Array:
    if sampling == "nearest":  # halves go up
        down, right = (np.floor(places + np.float32(0.5)).astype(np.int64) for places in (rows, columns))
        return _taken(x, down, right, padding, value)
    if sampling != "bilinear":
        raise ValueError(f"there is no sampling_mode '{sampling}'")
    top, left = np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)
    down, right = (rows - top).astype(np.float32)[:, None], (columns - left).astype(np.float32)[:, None]
    total = np.zeros((), np.float32)
    for below in (0, 1):
        for beside in (0, 1):
            share = (down if below else 1 - down) * (right if beside else 1 - right)
            total = total + share * _taken(x, top + below, left + beside, padding, value)
    return total


@op("resample", note="bilinear and nearest; all padding and coordinate modes")
def resample(
    x: Array,
    coordinates: Array,
    sampling_mode: str,
    padding_mode: str,
    padding_value: Any,
    coordinates_mode: str,
    align_corners: Any,
) -> Array:
    """x sampled at coordinates [b, h, w, (x, y)]."""
    aligned = flag(align_corners)
    columns = _pixels(coordinates[..., 0], x.shape[-1], coordinates_mode, aligned)
    rows = _pixels(coordinates[..., 1], x.shape[-2], coordinates_mode, aligned)
    return _sample(x, rows, columns, sampling_mode.lower(), padding_mode.lower(), number(padding_value))


@op("affine", note="bilinear, constant padding, aligned corners: what the op allows")
def affine(
    x: Array,
    transform_matrix: Array,
    output_height: Any,
    output_width: Any,
    sampling_mode: str,
    padding_mode: str,
    padding_value: Any,
    coordinates_mode: str,
    align_corners: Any,
) -> Array:
    """x sampled at (a0 x + a1 y + a2, b0 x + b1 y + b2) for the places (x, y) of the output, from -1 to 1."""
    height, width = integer(output_height), integer(output_width)
    across, down = (
        np.linspace(-1, 1, n, dtype=np.float32) if n > 1 else np.zeros(1, np.float32) for n in (width, height)
    )
    grid = np.stack([*np.meshgrid(across, down), np.ones((height, width), np.float32)])  # x, y, 1
    matrix = np.broadcast_to(transform_matrix, (x.shape[0], 6)).reshape(-1, 2, 3)
    places = np.einsum("bik,khw->bhwi", matrix, grid)
    return resample(x, places, sampling_mode, padding_mode, padding_value, coordinates_mode, align_corners)
