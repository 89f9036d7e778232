"""What rules ask of laid-out tensors, (batch, channel, height, frames): where axes stand, whether entries keep order.

Every refusal is an UnsupportedError in the author's terms.
"""

from __future__ import annotations

import numpy as np

from mctc.emit.unsupported import UnsupportedError
from mctc.ir.ops.broadcast import broadcast_axes, places, spread
from mctc.ir.ops.convolution import Conv2d, height_axis
from mctc.ir.ops.elementwise import Binary
from mctc.ir.ops.linear import Embedding, channel_axis
from mctc.ir.ops.shape import Pad, Regrouping, Slice
from mctc.ir.program import Value
from mctc.ir.types import Role
from mctc.records import dataclass

MOST_AXES = 5  # of a tensor in Core ML and on the Neural Engine (NE01)


def check_convolution(op: Conv2d) -> None:
    """Raises where x is not (batch, channel, height, frames); a kernel of one entry asks for the channels alone."""
    x = op.x.type
    axes = (channel_axis(x), height_axis(x), x.sequence)
    pointwise = op.weight.type.shape[2:] == (1, 1) and op.stride == (1, 1) and axes[0] == 1
    if x.rank != 4 or (axes != (1, 2, 3) and not pointwise):
        raise UnsupportedError(
            f"x is {x}, but only (batch, channel, height, frames) is convolved",
            "the channels-first pass lays values out",
        )


def count_ids(op: Embedding) -> int:
    """How many ids a lookup takes. Raises where they don't lie along one axis, behind a unit axis for the channels."""
    token = op.token.type
    if Role.UNIT not in token.roles or max(token.shape) != token.size or token.roles.index(Role.UNIT) != 1:
        raise UnsupportedError(f"token ids of type {token} can't be looked up; they must be (1, 1, 1, ids)")
    return token.size


def check_rank(value: Value) -> None:
    """Raises where a value has more axes than Core ML and the Neural Engine take."""
    if value.type.rank > MOST_AXES:
        raise UnsupportedError(f"{value.type} has {value.type.rank} axes, the limit is {MOST_AXES}")


def check_order_kept(op: Regrouping) -> None:
    """Raises where a regrouping of channels moves entries, so that no reshape does it."""
    marks = np.arange(op.x.type.size).reshape(op.x.type.shape)
    (moved,) = op.reference(marks)
    if not np.array_equal(np.asarray(moved).ravel(), marks.ravel()):
        raise UnsupportedError(f"on {op.x.type} it moves entries, which takes a transpose")


def met_shape(op: Binary, value: Value) -> tuple[int, ...]:
    """The shape under which an operand meets the other: the IR broadcasts by role, an artifact by position.

    Raises where no reshape does it.
    """
    axes = broadcast_axes(op.left.type, op.right.type)
    if places(value.type, axes) is None:
        return value.type.shape
    marks = np.arange(value.type.size).reshape(value.type.shape)
    fitted = spread(marks, value.type, axes)
    if not np.array_equal(fitted.ravel(), marks.ravel()):
        raise UnsupportedError(f"{value.type} needs a transpose before it meets the other operand")
    return fitted.shape


@dataclass(frozen=True)
class Bounds:
    """Of a slice, a number for each axis."""

    begin: list[int]
    end: list[int]
    stride: list[int]


def bounds_of(op: Slice) -> Bounds:
    """Where a slice begins and ends along every axis, and how far it steps."""
    shape, axis = op.x.type.shape, op.position
    found = Bounds([0] * len(shape), list(shape), [1] * len(shape))
    found.begin[axis], found.stride[axis] = op.begin, op.stride
    found.end[axis] = shape[axis] if op.end is None else op.end
    return found


def pad_widths(op: Pad) -> list[int]:
    """Entries before and after, for each axis in turn."""
    widths = [0] * (2 * op.x.type.rank)
    widths[2 * op.position], widths[2 * op.position + 1] = op.before, op.after
    return widths
