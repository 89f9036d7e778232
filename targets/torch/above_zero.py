"""Values that are above zero whatever the inputs are, as far as the ops that made them show it.

Rounding apart: exp(-200) is zero in fp32, and counts as above it.
"""

from __future__ import annotations

import numpy as np

from mctc.ir.ops.elementwise import (
    Abs,
    Add,
    Cast,
    Clip,
    Comparison,
    Div,
    Exp,
    Maximum,
    Minimum,
    Mul,
    Reciprocal,
    Relu,
    Rsqrt,
    Scale,
    Sigmoid,
    Softplus,
    Sqrt,
    Square,
)
from mctc.ir.ops.leaf import Constant
from mctc.ir.ops.norm import Softmax
from mctc.ir.ops.reduce import Reduce
from mctc.ir.ops.shape import Concat, Regrouping, Slice, Transpose
from mctc.ir.program import Value

FAR = 8  # ops that are looked back through


def above_zero(value: Value, far: int = FAR) -> bool:
    """Whether all entries are above zero."""
    op = value.owner
    if op is None or not far:
        return False
    far -= 1
    match op:
        case Constant():
            return bool((np.asarray(op.value) > 0).all())
        case Exp() | Sigmoid() | Softplus():
            return True
        case Scale():
            return op.factor >= 0 and op.offset > 0 and not_below_zero(op.x, far)
        case Clip():
            return op.low > 0
        case Add():
            return any(
                above_zero(one, far) and not_below_zero(other, far)
                for one, other in ((op.right, op.left), (op.left, op.right))
            )
        case Maximum():
            return above_zero(op.right, far) or above_zero(op.left, far)
        case Minimum() | Mul() | Div():
            return above_zero(op.right, far) and above_zero(op.left, far)
        case Sqrt() | Rsqrt() | Reciprocal() | Square() | Abs() | Relu() | Cast() | Reduce():
            return above_zero(op.x, far)
        case Regrouping() | Transpose() | Slice():
            return above_zero(op.x, far)
        case Concat():
            return all(above_zero(each, far) for each in op.xs)
    return False


def not_below_zero(value: Value, far: int = FAR) -> bool:
    """Whether no entry is below zero."""
    op = value.owner
    if op is None or not far:
        return False
    far -= 1
    match op:
        case Square() | Abs() | Relu() | Sqrt() | Rsqrt() | Comparison() | Softmax():
            return True
        case Constant():
            return bool((np.asarray(op.value) >= 0).all())
        case Scale():
            return op.factor >= 0 and op.offset >= 0 and not_below_zero(op.x, far)
        case Clip():
            return op.low >= 0
        case Mul() if op.left is op.right:
            return True
        case Maximum():
            return not_below_zero(op.right, far) or not_below_zero(op.left, far)
        case Add() | Minimum() | Mul() | Div():
            return not_below_zero(op.right, far) and not_below_zero(op.left, far)
        case Reciprocal() | Cast() | Reduce() | Regrouping() | Transpose() | Slice():
            return not_below_zero(op.x, far)
        case Concat():
            return all(not_below_zero(each, far) for each in op.xs)
    return above_zero(value, far + 1)
