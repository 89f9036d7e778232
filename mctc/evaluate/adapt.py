"""Arrays across a reshaped interface: axes move by role, unit axes come and go, padding is added or cut."""

from __future__ import annotations

import numpy as np

from mctc.ir.dims import Extent
from mctc.ir.op import Array
from mctc.ir.types import Axis, Role, TensorType

ONE = Extent.of(1)


def adapt(array: Array, old: TensorType, new: TensorType, fill: float = 0.0) -> Array:
    """`array` of type `old` as type `new` wants it; entries that `new` has in excess are `fill`.

    Shapes: any extents; unit axes of either side have extent 1, and so does a batch that one side alone has. Raises
    ValueError when roles do not correspond.
    """
    kept = [i for i, axis in enumerate(old.axes) if axis.role is not Role.UNIT]
    array = array.reshape([array.shape[i] for i in kept])
    roles = [_key(old.axes[i].role) for i in kept]
    new = new.with_axes(_placed(axis, old) for axis in new.axes)
    wanted = [_key(axis.role) for axis in new.axes if axis.role is not Role.UNIT]
    missing = [role for role in roles if role not in wanted]
    if [role for role in wanted if role not in roles] or any(array.shape[roles.index(r)] != 1 for r in missing):
        raise ValueError(f"{old} does not correspond to {new}")
    array = array.reshape([n for n, role in zip(array.shape, roles) if role not in missing])
    roles = [role for role in roles if role not in missing]
    if roles != wanted:  # where they are equal, roles may repeat: plain axes
        if len(set(roles)) < len(roles):
            raise ValueError(f"{old} does not correspond to {new}")
        array = array.transpose([roles.index(role) for role in wanted])
    array = array.reshape(_with_units(array.shape, new))
    for axis, extent in enumerate(new.extents):
        if extent.is_static and extent.value < array.shape[axis]:
            array = np.take(array, range(extent.value), axis=axis)
        elif extent.is_static and extent.value > array.shape[axis]:
            widths = [(0, 0)] * array.ndim
            widths[axis] = (0, extent.value - array.shape[axis])
            array = np.pad(array, widths, constant_values=fill)
    return array


def _placed(axis: Axis, old: TensorType) -> Axis:
    """An axis of the new type; a batch of one that the old type has not is a unit axis."""
    added = axis.role is Role.BATCH and axis.extent == ONE and old.find(Role.BATCH) is None
    return Axis(Role.UNIT, ONE) if added else axis


def _key(role: Role) -> Role:
    return Role.CHANNEL if role is Role.VOCABULARY else role


def _with_units(shape: tuple[int, ...], new: TensorType) -> list[int]:
    sizes = iter(shape)
    return [1 if axis.role is Role.UNIT else next(sizes) for axis in new.axes]
