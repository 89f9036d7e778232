"""What a number that fp16 doesn't hold becomes in the program, by the ops around it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mctc.ir.op import Array
from mctc.ir.ops.elementwise import Add, Clip, Exp, Maximum, Minimum, Mul, Scale, Sigmoid, Sub, Tanh
from mctc.ir.ops.norm import LayerNorm, RmsNorm, Softmax
from mctc.ir.ops.reduce import ReduceMax, ReduceMin
from mctc.ir.ops.shape import Pad
from mctc.ir.program import Op, Value
from mctc.passes.numbers.floors import LEAST_EPSILON, beyond, has_form
from mctc.passes.numbers.half import LARGEST, factors, half, halves, holds, rounded
from mctc.passes.numbers.surroundings import MOVES, Surroundings

MASK = 3e4
"""A score that must not count. exp(-3e4) is 0 in every precision; two masks together are finite in fp16 still, and the
engine's accumulator saturates from 32768 on (ANE-AT-010, ANE-NM-003)."""
SATURATING = (Softmax, Sigmoid, Tanh, Exp)
"""Ops that tell no mask from a larger one."""
ADDED = (Add, Sub, Minimum, Maximum)
FAINTEST = 2.0**-6  # a mask may be scaled down by: exp(-3e4 / 64) is 0 still

Substitute = Callable[[Op, float, Surroundings], float | None]


def substitute(op: Op, name: str, value: float, around: Surroundings) -> float | None:
    """The number for attribute `name` of `op`; None where the op has no form that holds it."""
    if holds(value):
        return half(value)
    found = SUBSTITUTES.get((type(op), name))
    return None if found is None else found(op, value, around)


def substituted(op: Op, array: Array, around: Surroundings) -> Array | None:
    """The same of the entries of a constant. An entry that is far below the largest one may become 0."""
    near = halves(array)
    if np.abs(near).max(initial=0.0) <= LARGEST and (near.any() or not array.any()):
        return near
    if not near.any():
        number = float(array.flat[0])
        held = _in_constant(op, number, around) if (array == number).all() else None
        return None if held is None else np.full_like(array, held)
    if is_mask(op.result, around):
        return halves(np.where(np.abs(array) > LARGEST, np.copysign(MASK, array), array))
    return None


def is_mask(value: Value, around: Surroundings) -> bool:
    """Whether a value is only ever added to (or compared with) what a saturating op reads."""
    if around.leaves(value) or not around.users(value):
        return False
    return all(_masks(op, around) for op in around.users(value))


def _masks(op: Op, around: Surroundings) -> bool:
    if isinstance(op, ADDED):
        return all(_saturates(result, around) for result in op.results)
    return _passes(op) and all(is_mask(result, around) for result in op.results)


def _saturates(value: Value, around: Surroundings) -> bool:
    if around.leaves(value) or not around.users(value):
        return False
    return all(
        isinstance(op, SATURATING)
        or ((isinstance(op, ADDED) or _passes(op)) and all(_saturates(result, around) for result in op.results))
        for op in around.users(value)
    )


def _passes(op: Op) -> bool:
    """Whether a mask behind an op is a mask: entries are moved, multiplied by ones and zeros, or scaled a little."""
    if isinstance(op, Scale):
        return FAINTEST <= abs(op.factor) <= 1 or not holds(op.factor)
    return isinstance(op, (*MOVES, Mul))


def _factor(op: Op, value: float, around: Surroundings) -> float | None:
    if abs(value) < 1:
        return None  # what comes of it would vanish too
    if is_mask(op.result, around):
        return float(np.copysign(MASK, value))
    straight = not around.only_reaches(op.result, (Softmax,), MOVES)  # inf - inf is no number
    return rounded(value) if factors(value) is not None and straight else None


def _offset(op: Op, value: float, around: Surroundings) -> float | None:
    if abs(value) > LARGEST:
        return float(np.copysign(MASK, value)) if is_mask(op.result, around) else None
    return _floor(op, around)


def _floor(op: Op, around: Surroundings) -> float | None:
    floor = beyond(op)
    return floor.held if floor is not None and has_form(op, floor, around) else None


def _low(op: Op, value: float, around: Surroundings) -> float | None:
    if value < -LARGEST:
        return -LARGEST  # below every number of fp16 there is none to bound
    return _floor(op, around) if abs(value) < 1 else None


def _high(op: Op, value: float, around: Surroundings) -> float | None:
    return LARGEST if value > LARGEST else None


def _padding(op: Op, value: float, around: Surroundings) -> float | None:
    if abs(value) < 1:
        return None
    if is_mask(op.result, around) or _saturates(op.result, around):
        return float(np.copysign(MASK, value))
    kind = ReduceMax if value < 0 else ReduceMin
    return float(np.copysign(LARGEST, value)) if around.only_reaches(op.result, (kind,), MOVES) else None


def _epsilon(op: Op, value: float, around: Surroundings) -> float | None:
    return max(rounded(value), LEAST_EPSILON) if value < 1 else None


def _in_constant(op: Op, value: float, around: Surroundings) -> float | None:
    """A constant whose entries all are one small number: a floor, wherever it is read."""
    held = {_floor(user, around) for user in around.users(op.result)}
    return held.pop() if len(held) == 1 and not around.leaves(op.result) else None


SUBSTITUTES: dict[tuple[type[Op], str], Substitute] = {
    (Scale, "factor"): _factor,
    (Scale, "offset"): _offset,
    (Clip, "low"): _low,
    (Clip, "high"): _high,
    (Pad, "value"): _padding,
    (LayerNorm, "epsilon"): _epsilon,
    (RmsNorm, "epsilon"): _epsilon,
}
