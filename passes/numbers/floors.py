"""Small numbers that keep a logarithm, a root or a quotient from zero: log(y + 1e-10), x / max(y, 1e-9).

fp16 has no number below 6e-8, and y + 1e-10 is y in it. But y + e is a product of two numbers that it has:
m = max(|y|, F) and y / m + (F / m) (e / F), for any F > 0; max(y, e) is one likewise. Where y is a sum of squares or
the root of one, which vanish and overflow in fp16 themselves, m is the largest magnitude that is squared, and y / m^2
or y / m the same of what is at most 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mctc.ir.op import axis_position
from mctc.ir.program import Op, Value
from mctc.passes.numbers.half import LARGEST, SMALLEST, SMALLEST_NORMAL, half, holds, power_of_two, rounded
from mctc.passes.numbers.surroundings import Surroundings

LEAST = 2.0**-44  # of a floor: below, less than four bits of F and e / F are left
LEAST_EPSILON = 2.0**-40  # beside a sum of squares: a root below would mean entries of a few steps of fp16
SINGULAR = {"log": 0, "sqrt": 0, "rsqrt": 0, "reciprocal": 0, "div": 1}
"""Ops that a zero is trouble for, and which operand."""


@dataclass(frozen=True)
class Squares:
    """x^2, summed or averaged along axes one after another: the names of the ops, and their axes."""

    x: Value
    reductions: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, value: Value | None) -> Squares | None:
        """What a value sums the squares of."""
        reductions: list[tuple[str, int]] = []
        op = value.owner if value is not None else None
        while op is not None and op.name in ("reduce_sum", "reduce_mean") and op.operands[0] is not None:
            axis = axis_position(op.operands[0].type, op.attributes["axis"], "x")
            reductions.insert(0, (op.name, axis))
            op = op.operands[0].owner
        if op is None or not op.operands or op.operands[0] is None:
            return None
        squared = op.name == "square" or (op.name == "mul" and op.operands[0] is op.operands[1])
        return cls(op.operands[0], tuple(reductions)) if squared else None


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
        return Squares.of(root.operands[0]) if root is not None and root.name == "sqrt" and self.factor == 1 else None

    @property
    def held(self) -> float | None:
        """The number that stands for `value`; None where there is none."""
        if self.squares is not None:
            return max(rounded(self.value), LEAST_EPSILON)
        return self.base * self.ratio if self.value >= LEAST else None


def floor_of(op: Op) -> Floor | None:
    """What an op adds or bounds from below, by one number above 0."""
    y = op.operands[0] if op.operands else None
    if y is None:
        return None
    a = op.attributes
    if op.name == "scale" and a["offset"] > 0:
        return _sum(y, float(a["factor"]), float(a["offset"]))
    if op.name == "clip" and a["low"] > 0:
        return Floor(y, float(a["low"]), bound=True, high=float(a["high"]))
    if op.name in ("add", "maximum"):
        for y, other in (op.operands, op.operands[::-1]):
            number = uniform(other)
            if y is not None and number is not None and number > 0 and y.type == op.result.type:
                return Floor(y, number, bound=op.name == "maximum")
    return None


def _sum(y: Value, factor: float, value: float) -> Floor:
    """factor * y + value; a factor that y has been multiplied by before counts with it."""
    scaled = y.owner
    if factor == 1 and scaled is not None and scaled.name == "scale" and scaled.attributes["offset"] == 0:
        (inner,) = scaled.operands
        assert inner is not None
        return Floor(inner, value, float(scaled.attributes["factor"]))
    return Floor(y, value, factor)


def uniform(value: Value | None) -> float | None:
    """The one number that a constant holds."""
    op = None if value is None else value.owner
    if op is None or op.name != "constant":
        return None
    array = np.asarray(op.attributes["value"])
    return float(array.flat[0]) if array.size and (array == array.flat[0]).all() else None


def beyond(op: Op) -> Floor | None:
    """The floor that an op is, if fp16 has no number for it."""
    floor = floor_of(op)
    return floor if floor is not None and half(floor.value) == 0 else None


def has_form(op: Op, floor: Floor, around: Surroundings) -> bool:
    """Whether everything that reads the op can read the product instead, and its results are no larger than fp16's."""
    if around.leaves(op.result) or not around.users(op.result) or floor.held is None or not holds(floor.factor):
        return False
    return all(_takes(op.result, floor, user, around) for user in around.users(op.result))


def _takes(value: Value, floor: Floor, user: Op, around: Surroundings) -> bool:
    place = SINGULAR.get(user.name)
    if place is None or user.operands[place] is not value or (user.name == "div" and user.operands[0] is value):
        return False
    if user.name not in ("rsqrt", "reciprocal"):
        return True
    assert floor.held is not None
    largest = 1 / (floor.held**0.5 if user.name == "rsqrt" else floor.held)
    return largest <= LARGEST or inverse_is_multiplied(user, around)


def inverse_is_multiplied(op: Op, around: Surroundings) -> bool:
    """Whether all that is done with an inverse is multiplying something else by it: dividing."""
    users = around.users(op.result)
    multiplied = all(user.name == "mul" and user.operands.count(op.result) == 1 for user in users)
    return bool(users) and multiplied and not around.leaves(op.result)
