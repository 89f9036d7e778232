"""Masks of frames: an operand of ones and zeros, for all utterances alike or with a row for each."""

from __future__ import annotations

import numpy as np

from mctc.ir.dims import Extent
from mctc.ir.op import Array, InferenceError, Signature
from mctc.ir.types import Role, TensorType

ONE = Extent.of(1)


def check_mask(s: Signature, name: str, of: str) -> None:
    """Raises InferenceError unless the mask is [frames] or [batch, frames] of the operand `of`; axes of 1 are free."""
    if name not in s:
        return
    mask, x = s[name], s[of]
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


def mask_along(s: Signature, name: str, of: str, mask: Array) -> Array:
    """A mask's array with an axis for each of the operand `of`, of 1 where all its entries have one mark."""
    order, _ = met(s[name], s[of])
    moved = np.transpose(mask, order)
    shape = [1] * s[of].rank
    for axis, entries in zip(order, moved.shape):
        place = _place(s[name], axis, s[of])
        if place < len(shape):
            shape[place] = entries
    return moved.reshape(shape)
