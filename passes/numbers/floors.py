"""Small numbers that keep a logarithm, a root or a quotient from zero: log(y + 1e-10), x / max(y, 1e-9).

fp16 has no number below 6e-8, and y + 1e-10 is y in it. But y + e is a product of two numbers that it has:
m = max(|y|, F) and y / m + (F / m) (e / F), for any F > 0; max(y, e) is one likewise. Where y is a sum of squares or
the root of one, which vanish and overflow in fp16 themselves, m is the largest magnitude that is squared, and y / m^2
or y / m the same of what is at most 1.
"""

from __future__ import annotations

import numpy as np

from mctc.ir.ops.elementwise import (
    Add,
    Clip,
    Div,
    Log,
    Maximum,
    Mul,
    Reciprocal,
    Rsqrt,
    Scale,
    Sqrt,
    Square,
)
from mctc.ir.ops.leaf import Constant
from mctc.ir.ops.reduce import Reduce, ReduceMean, ReduceSum
from mctc.ir.program import Op, Value
from mctc.passes.numbers.half import LARGEST, SMALLEST, SMALLEST_NORMAL, half, holds, power_of_two, rounded
from mctc.passes.numbers.surroundings import Surroundings
from mctc.records import dataclass

LEAST = 2.0**-44  # of a floor: below, less than four bits of F and e / F are left
LEAST_EPSILON = 2.0**-40  # beside a sum of squares: a root below would mean entries of a few steps of fp16


def singular(op: Op) -> Value | None:
    """The operand whose zeros are trouble for an op."""
    match op:
        case Log() | Sqrt() | Rsqrt() | Reciprocal():
            return op.x
        case Div():
            return op.right
    return None


@dataclass(frozen=True)
class Squares:
    """x^2, summed or averaged along axes one after another: the ops, and their axes."""

    x: Value
    reductions: tuple[tuple[type[Reduce], int], ...]

    @classmethod
    def of(cls, value: Value | None) -> Squares | None:
        """What a value sums the squares of."""
        reductions: list[tuple[type[Reduce], int]] = []
        op = value.owner if value is not None else None
        while isinstance(op, (ReduceSum, ReduceMean)):
            reductions.insert(0, (type(op), op.position))
            op = op.x.owner
        match op:
            case Square(x=x):
                return cls(x, tuple(reductions))
            case Mul(left=left, right=right) if left is right:
                return cls(left, tuple(reductions))
        return None


@dataclass(frozen=True)
class Floor:
    """factor * y + value or, with `bound`, the larger of y and value; limited to `high`."""

    y: Value
    value: float
    factor: float = 1.0
    bound: bool = False
    high: float | None = None

    @property
    def base(self) -> float:
        """F: a power of two that fp16 has, such that it has value / F too."""
        return min(SMALLEST_NORMAL, max(SMALLEST, power_of_two(self.value) * 2.0**14))

    @property
    def ratio(self) -> float:
        """value / F, as fp16 holds it."""
        return half(self.value / self.base)

    @property
    def squares(self) -> Squares | None:
        """The sum of squares that y is."""
        return None if self.bound else Squares.of(self.y)

    @property
    def length(self) -> Squares | None:
        """The sum of squares that y is the root of."""
        root = self.y.owner
        return Squares.of(root.x) if isinstance(root, Sqrt) and self.factor == 1 else None

    @property
    def held(self) -> float | None:
        """The number that stands for `value`; None where there is none."""
        if self.squares is not None:
            return max(rounded(self.value), LEAST_EPSILON)
        return self.base * self.ratio if self.value >= LEAST else None


def floor_of(op: Op) -> Floor | None:
    """What an op adds or bounds from below, by one number above 0."""
    match op:
        case Scale() if op.offset > 0:
            return _sum(op.x, op.factor, op.offset)
        case Clip() if op.low > 0:
            return Floor(op.x, op.low, bound=True, high=op.high)
        case Add() | Maximum():
            for y, other in ((op.left, op.right), (op.right, op.left)):
                number = uniform(other)
                if number is not None and number > 0 and y.type == op.result.type:
                    return Floor(y, number, bound=isinstance(op, Maximum))
    return None


def _sum(y: Value, factor: float, value: float) -> Floor:
    """factor * y + value; a factor that y has been multiplied by before counts with it."""
    scaled = y.owner
    if factor == 1 and isinstance(scaled, Scale) and scaled.offset == 0:
        return Floor(scaled.x, value, scaled.factor)
    return Floor(y, value, factor)


def uniform(value: Value) -> float | None:
    """The one number that a constant holds."""
    if not isinstance(value.owner, Constant):
        return None
    array = np.asarray(value.owner.value)
    return float(array.flat[0]) if array.size and (array == array.flat[0]).all() else None


def beyond(op: Op) -> Floor | None:
    """The floor that an op is, if fp16 has no number for it."""
    floor = floor_of(op)
    return floor if floor is not None and half(floor.value) == 0 else None


def has_form(op: Op, floor: Floor, around: Surroundings) -> bool:
    """Whether everything that reads the op can read the product instead, and its results are no larger than fp16's."""
    if around.leaves(op.result) or not around.users(op.result) or not holds(floor.factor):
        return False
    held = floor.held
    return held is not None and all(_takes(op.result, held, user, around) for user in around.users(op.result))


def _takes(value: Value, held: float, user: Op, around: Surroundings) -> bool:
    if singular(user) is not value or (isinstance(user, Div) and user.left is value):
        return False
    if not isinstance(user, (Rsqrt, Reciprocal)):
        return True
    largest = 1 / (held**0.5 if isinstance(user, Rsqrt) else held)
    return largest <= LARGEST or inverse_is_multiplied(user, around)


def inverse_is_multiplied(op: Op, around: Surroundings) -> bool:
    """Whether all that is done with an inverse is multiplying something else by it: dividing."""
    users = around.users(op.result)
    multiplied = all(isinstance(user, Mul) and user.operands.count(op.result) == 1 for user in users)
    return bool(users) and multiplied and not around.leaves(op.result)
