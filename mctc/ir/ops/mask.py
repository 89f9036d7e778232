"""Masks of frames: an operand of ones and zeros, for all utterances alike or with a row for each."""

from __future__ import annotations

import numpy as np

from mctc.ir.dims import Extent
from mctc.ir.op import Array, InferenceError
from mctc.ir.types import Role, TensorType
from mctc.ir.value import Value

ONE = Extent.of(1)


def check_mask(given: Value | None, x: TensorType, name: str = "mask") -> None:
    """Raises InferenceError unless a mask, operand `name`, is [frames] or [batch, frames] of x; axes of 1 are free."""
    if given is None:
        return
    mask = given.type
    told = [(axis.role, axis.extent) for axis in mask.axes if axis.extent != ONE]
    known = [(axis.role, axis.extent) for axis in x.axes if axis.role in (_sequence(x), Role.BATCH)]
    frames = [entry for entry in known if entry[0] is _sequence(x) and entry[1] != ONE]
    if not set(frames) <= set(told) <= set(known):
        rows = [f"f32[{', '.join(str(extent) for _, extent in axes)}]" for axes in (frames, known) if axes]
        raise InferenceError(f"{name} must be {' or '.join(dict.fromkeys(rows)) or 'one number'}, not {mask}", name)


def _sequence(x: TensorType) -> Role | None:
    return None if x.sequence is None else x.roles[x.sequence]


def met(mask: TensorType, x: TensorType) -> tuple[list[int], list[Extent]]:
    """How a mask meets x: the order of its axes in which they stand as x has them, and its extents along x's axes."""
    order = sorted(range(mask.rank), key=lambda i: _place(mask, i, x))
    extents = {_place(mask, i, x): mask.extents[i] for i in order if mask.extents[i] != ONE}
    return order, [extents.get(place, ONE) for place in range(x.rank)]


def _place(mask: TensorType, axis: int, x: TensorType) -> int:
    role = mask.roles[axis]
    return x.roles.index(role) if role in x.roles and mask.extents[axis] != ONE else x.rank


def mask_along(mask: TensorType, x: TensorType, marks: Array) -> Array:
    """A mask's array `marks` with an axis for each of x, of 1 where all its entries have one mark."""
    order, _ = met(mask, x)
    moved = np.transpose(marks, order)
    shape = [1] * x.rank
    for axis, entries in zip(order, moved.shape):
        place = _place(mask, axis, x)
        if place < len(shape):
            shape[place] = entries
    return moved.reshape(shape)
