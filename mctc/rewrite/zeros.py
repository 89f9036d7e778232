"""Where entries that go are zeros in the masked program: in parameters, in what a layer makes of masked rows, and in
what keeps zeros."""

from __future__ import annotations

import numpy as np

from mctc.ir.op import ieee
from mctc.ir.ops.convolution import Conv1d, Conv2d
from mctc.ir.ops.elementwise import Add, Cast, Clip, Mul, Scale, Sub, Unary
from mctc.ir.ops.leaf import ParameterOp
from mctc.ir.ops.linear import Embedding, Linear, channel_axis
from mctc.ir.ops.norm import LayerNorm, RmsNorm
from mctc.ir.ops.recurrent import Cell
from mctc.ir.ops.reduce import ReduceSum
from mctc.ir.ops.shape import Concat, Slice, Split
from mctc.ir.ops.training import Training
from mctc.ir.program import Op, Value

WRITERS = (Linear, Conv1d, Conv2d, Embedding, Cell, LayerNorm, RmsNorm)
"""What gives zeros in channels of which the rows of its parameters, or the channels that a norm counts, are masked."""
MOVING = (Cast, Training, Split, Slice, Concat)


def zeroed(value: Value, axis: int) -> bool:
    """Whether entries along an axis are zeros in the masked program if they go: False where that is not known."""
    op = value.owner
    if op is None:
        return False
    if isinstance(op, ParameterOp):
        return True
    if isinstance(op, WRITERS):
        return axis == channel_axis(value.type) if value in op.results[:1] else False
    if isinstance(op, (Add, Sub, Mul)):
        met = [_met(each, value, axis) for each in (op.left, op.right)]
        held = [at is not None and zeroed(each, at) for each, at in zip((op.left, op.right), met)]
        return any(held) if isinstance(op, Mul) else all(held)
    if isinstance(op, ReduceSum) and axis == op.position:
        return False
    return (_keeps_zeros(op) or isinstance(op, (*MOVING, ReduceSum))) and all(
        zeroed(each, axis) for each in op.present()
    )


def _met(operand: Value, result: Value, axis: int) -> int | None:
    """The axis of an operand that lies along one of the result, entry by entry."""
    plain = result.type.roles[axis] not in operand.type.roles or operand.type.roles == result.type.roles
    at = axis - result.type.rank + operand.type.rank if plain else operand.type.find(result.type.roles[axis])
    if at is None or at < 0 or operand.type.extents[at] != result.type.extents[axis]:
        return None
    return at


def _keeps_zeros(op: Op) -> bool:
    if isinstance(op, Scale):
        return op.offset == 0
    if isinstance(op, Clip):
        return op.low <= 0 <= op.high
    if not isinstance(op, Unary):
        return False
    with ieee():
        return bool(np.all(op.function(np.zeros(1)) == 0))
