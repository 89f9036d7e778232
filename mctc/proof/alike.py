"""Along which axes a product makes each place of its result as it makes the others.

Where what an artifact has for it does so too, one place whose polynomials agree on noise shows that all of them do.
"""

from __future__ import annotations

from mctc.ir.ops.convolution import Conv2d
from mctc.ir.ops.leaf import Constant
from mctc.ir.ops.linear import MatMul, channel_axis
from mctc.ir.program import Op


def is_alike_along(op: Op, axis: int) -> bool:
    """Whether each place along an axis of the result is the same function of the same place of its operands; of a
    convolution's channel, of all that comes in and its own row of the weight. False of what isn't known here."""
    if any(isinstance(value.owner, Constant) for value in op.present()):
        return False  # whose numbers may differ from place to place
    match op:
        case MatMul():
            left, right = op.left.type, op.right.type
            return axis < left.rank - 2 and left.rank == right.rank and left.extents[axis] == right.extents[axis]
        case Conv2d():
            return op.groups == 1 and channel_axis(op.x.type) == axis
        case _:
            return False
