"""Broadcasting by role: axes meet by what they mean; unit axes and plain ones meet by position."""

from __future__ import annotations

from functools import lru_cache

from mctc.ir.dims import Extent
from mctc.ir.op import Array, InferenceError
from mctc.ir.types import Axis, Role, TensorType

ONE = Extent.of(1)
HELD = 1 << 12  # of the types that met: a program has few, and asks for the same again and again
ORDER = (Role.BATCH, Role.TIME, Role.LABEL, Role.FEATURE, Role.CHANNEL, Role.VOCABULARY)


def _meaning(role: Role) -> int:
    return 0 if role is Role.PLAIN else 1 if role is Role.UNIT else 2


def _meet(left: Axis, right: Axis) -> Axis | None:
    """The axis that two axes at one position broadcast to, or None."""
    one, two = _meaning(left.role), _meaning(right.role)
    if left.role is not right.role and one == two:
        return None
    if left.extent != right.extent and ONE not in (left.extent, right.extent):
        return None
    extent = right.extent if left.extent == ONE else left.extent
    role = right.role if two > one else left.role
    return Axis(Role.PLAIN if role is Role.UNIT and extent != ONE else role, extent)


@lru_cache(maxsize=HELD)
def broadcast_axes(left: TensorType, right: TensorType) -> tuple[Axis, ...]:
    """Axes of an elementwise result. Raises InferenceError when the two do not fit."""
    if left.rank == 0 or right.rank == 0:
        return left.axes or right.axes
    wide, narrow = (left, right) if left.rank >= right.rank else (right, left)
    if Role.PLAIN in narrow.roles or left.rank == right.rank:
        padded = (None,) * (wide.rank - narrow.rank) + narrow.axes
        met = [a if b is None else _meet(a, b) for a, b in zip(wide.axes, padded)]
        if all(met):
            return tuple(axis for axis in met if axis is not None)
    return _by_role(left, right)


def _by_role(left: TensorType, right: TensorType) -> tuple[Axis, ...]:
    by_role: dict[Role, Axis] = {axis.role: axis for axis in left.axes}
    if Role.PLAIN in left.roles + right.roles or _repeats(left) or _repeats(right):
        raise InferenceError(f"{left} and {right} do not fit together", "right")
    for axis in right.axes:
        met = _meet(by_role.get(axis.role, axis), axis)
        if met is None:
            raise InferenceError(
                f"the {axis.role.value} axes differ: {by_role[axis.role].extent} and {axis.extent}", "right"
            )
        by_role[axis.role] = met
    wide = left if left.rank >= right.rank else right
    if set(wide.roles) == set(by_role):
        return tuple(by_role[role] for role in wide.roles)
    if Role.UNIT in by_role:
        raise InferenceError(f"{left} and {right} do not fit together", "right")
    return tuple(by_role[role] for role in ORDER if role in by_role)


def _repeats(type_: TensorType) -> bool:
    """Whether a role occurs twice; unit axes, which mean nothing, may."""
    roles = [role for role in type_.roles if role is not Role.UNIT]
    return len(set(roles)) < len(roles)


@lru_cache(maxsize=HELD)
def places(type_: TensorType, axes: tuple[Axis, ...]) -> tuple[int | None, ...] | None:
    """For each of `axes`, which axis of `type_` comes to stand there, None for a new one of extent 1; unit axes of
    `type_` fall away. None for all where the operand meets them as it is, by position.
    """
    if (type_.rank == len(axes) and all(_meet(a, b) for a, b in zip(type_.axes, axes))) or Role.PLAIN in type_.roles:
        return None
    at: dict[Role, int] = {role: index for index, role in enumerate(type_.roles) if role is not Role.UNIT}
    return tuple(at.get(axis.role) for axis in axes)


def spread(array: Array, type_: TensorType, axes: tuple[Axis, ...]) -> Array:
    """`array` of `type_` reshaped (and, if need be, transposed) so that numpy broadcasts it against `axes`."""
    placed = places(type_, axes)
    if placed is None:
        return array
    order = sorted(range(type_.rank), key=lambda axis: placed.index(axis) if axis in placed else -1)
    spread_out: Array = array.transpose(order)
    return spread_out.reshape([1 if axis is None else array.shape[axis] for axis in placed])
