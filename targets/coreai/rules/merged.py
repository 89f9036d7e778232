"""What Core AI's compiler makes of constants that one tensor meets in turn: one constant, in the asset's type.

coreai-core 1.0.0b3 makes (x * a) * b of a product with a * b, and a / (x * b) of a quotient by (b / a): in fp16 an
infinity or a zero, where each of the two had its place. Of a subnormal number it takes 2^-24 as it does so, whatever it
is: 1000 * (0.00001 * x) comes out as 0.00006 x. It looks through no minimum.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mctc.ir.op import Array
from mctc.ir.ops.elementwise import Div, Mul, Reciprocal, Scale
from mctc.ir.ops.leaf import Constant
from mctc.ir.program import Op, Value
from mctc.passes.numbers.half import LARGEST, SMALLEST_NORMAL

Range = tuple[float, float]


class _Factor(NamedTuple):
    """An op that is its tensor `x`, or 1 / x, times numbers of magnitudes within `sizes`."""

    x: Value
    sizes: Range
    inverse: bool = False


def meets_too_much(op: Op) -> Value | None:
    """The operand that constants in front of `op` are multiplied with, where fp16 holds their product with those of
    `op` no more, or one of them is subnormal."""
    factor = _factor(op)
    before = None if factor is None or factor.x.owner is None else _factor(factor.x.owner, inside=True)
    if factor is None or before is None:
        return None
    least, most = _merged(op)
    least = min(least, factor.sizes[0], before.sizes[0])
    return None if least >= SMALLEST_NORMAL and most <= LARGEST else factor.x


def _merged(op: Op, *, inside: bool = False) -> Range:
    """Magnitudes of the one constant that becomes of an op's and of those in front of it."""
    factor = _factor(op, inside=inside)
    if factor is None:
        return 1.0, 1.0
    before = factor.x.owner
    least, most = (1.0, 1.0) if before is None or (inside and meets_too_much(op)) else _merged(before, inside=True)
    if factor.inverse:
        least, most = 1 / most, 1 / least
    return least * factor.sizes[0], most * factor.sizes[1]


def _factor(op: Op, *, inside: bool = False) -> _Factor | None:
    """inside: whether more is multiplied behind the op, which an offset keeps from what is in front."""
    match op:
        case Scale() if not (inside and op.offset):
            return _Factor(op.x, _sizes(np.float64(op.factor)))
        case Reciprocal():
            return _Factor(op.x, (1.0, 1.0), inverse=True)
        case Mul() | Div():
            left, right = _constant(op.left), _constant(op.right)
            if left is not None and right is None:
                return _Factor(op.right, _sizes(left), inverse=isinstance(op, Div))
            if right is not None and left is None:
                least, most = _sizes(right)
                return _Factor(op.left, (1 / most, 1 / least) if isinstance(op, Div) else (least, most))
    return None


def _constant(value: Value) -> Array | None:
    return np.asarray(value.owner.value, np.float64) if isinstance(value.owner, Constant) else None


def _sizes(numbers: Array | np.float64) -> Range:
    """Of all that are not zero: whatever becomes of those, they are."""
    sizes = np.abs(numbers)[np.asarray(numbers) != 0]
    return float(sizes.min(initial=1.0 if not sizes.size else np.inf)), float(sizes.max(initial=0.0)) or 1.0
