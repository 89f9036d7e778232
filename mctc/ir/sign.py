"""The sign of all entries of a value, whatever the inputs are, as far as the ops that made it show it.

Rounding apart: exp(-200) is zero in fp32, and counts as above it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any

from mctc.ir.value import Value

FAR = 8  # ops that are looked back through


class Sign(IntEnum):
    """What is known, in rising order."""

    ANY = 0
    NOT_BELOW_ZERO = 1
    ABOVE_ZERO = 2


def sign_of(value: Value, far: int = FAR) -> Sign:
    """What the ops in front of a value say of all its entries."""
    op = value.owner
    if op is None or not far:
        return Sign.ANY
    return op.sign(*(sign_of(each, far - 1) for each in op.present()))


def number_sign(number: float) -> Sign:
    """Of one number."""
    return Sign.ABOVE_ZERO if number > 0 else Sign.NOT_BELOW_ZERO if number >= 0 else Sign.ANY


# what an op declares as its `sign`


def always(sign: Sign) -> Callable[..., Sign]:
    """Of results that have it whatever the operands have."""
    return lambda op, *operands: sign


def weakest(op: Any, *operands: Sign) -> Sign:
    """Of entries that are moved, multiplied, averaged, or sent where they keep their sign: what all operands have."""
    return min(operands)


def strongest(op: Any, *operands: Sign) -> Sign:
    """Of the larger entry: what any operand has."""
    return max(operands)


def not_below_zero(op: Any, *operands: Sign) -> Sign:
    """Of magnitudes: zero where the operand may be."""
    return max(Sign.NOT_BELOW_ZERO, *operands)
