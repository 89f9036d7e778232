"""Prefix forms: every state of a chunk by doubling, log2 of its frames times (Hillis and Steele, 1986).

What frames s ... t do to a state is one pair, (factor, drive) or (shift, floor); two pairs that follow one another make
one. After a round each frame knows what twice as many frames before it do. The incoming state goes into the first.
"""

from __future__ import annotations

import numpy as np

from mctc.ir.build import Builder
from mctc.ir.op import Array
from mctc.ir.ops.elementwise import Add, Maximum, Mul
from mctc.ir.ops.leaf import Constant
from mctc.ir.ops.linear import MatMul
from mctc.ir.ops.shape import Concat, Slice
from mctc.ir.value import Value
from mctc.passes.numbers.half import halves


def decayed(b: Builder, factor: Value | float, drive: Value, start: Value | None, halved: bool = False) -> Value:
    """h[t] = factor[t] * h[t - 1] + drive[t] for all frames of the last axis, h[-1] = start or zeros.

    halved: whether numbers are stored in fp16.
    """
    if isinstance(factor, float):
        return _by_powers(b, factor, drive, start, halved)
    frames = drive.type.shape[3]
    if start is not None:
        first = np.zeros((1, frames))
        first[0, 0] = 1
        drive = b.op(Add, drive, b.op(Mul, b.op(MatMul, start, constant(b, first)), factor))
    distance = 1
    while distance < frames:
        shift = constant(b, np.eye(frames, k=distance))
        drive = b.op(Add, drive, b.op(Mul, b.op(MatMul, drive, shift), factor))
        if 2 * distance < frames:
            factor = b.op(Mul, factor, b.op(MatMul, factor, shift))
        distance *= 2
    return drive


def _by_powers(b: Builder, factor: float, drive: Value, start: Value | None, halved: bool) -> Value:
    """The same where the factor is a number: one product with a matrix of its powers.

    Frame by frame fp16 holds the factor alone; of its powers a chunk would hold numbers that are 2^-12 off. So these,
    and what is known of the result, are sums of two.
    """
    frames = drive.type.shape[3]
    if factor == 0:
        return drive
    ahead = np.subtract.outer(np.arange(frames), np.arange(frames))  # row s, column t: s - t
    matrix = np.where(ahead <= 0, factor ** np.maximum(-ahead, 0.0), 0.0)
    known = np.asarray(drive.owner.value, np.float64) @ matrix if isinstance(drive.owner, Constant) else None
    if start is None:
        return _product(b, drive, matrix, halved)
    kept = _product(b, start, factor ** np.arange(1.0, frames + 1)[None], halved)
    if known is None:
        return b.op(Add, _product(b, drive, matrix, halved), kept)
    for part in reversed(_parts(known, halved)):
        kept = b.op(Add, kept, b.constant(part, [axis.role.value for axis in drive.type.axes]))
    return kept


def _product(b: Builder, x: Value, matrix: Array, halved: bool) -> Value:
    first, *rest = (b.op(MatMul, x, constant(b, part)) for part in _parts(matrix, halved))
    return b.op(Add, first, rest[0]) if rest else first


def _parts(numbers: Array, halved: bool) -> list[Array]:
    """Numbers whose sum they are: where halved, the nearest ones of fp16 and what these leave, if it has some."""
    left = numbers - halves(numbers)
    return [numbers - left, left] if halved and halves(left).any() else [numbers]


def largest(b: Builder, shift: Value, floor: Value, start: Value) -> Value:
    """h[t] = max(h[t - 1] + shift[t], floor[t]) for all frames of the last axis, h[-1] = start."""
    frames = floor.type.shape[3]

    def part(value: Value, begin: int, end: int) -> Value:
        return b.op(Slice, value, axis=3, begin=begin, end=end)

    one = b.op(Maximum, b.op(Add, start, part(shift, 0, 1)), part(floor, 0, 1))
    if frames == 1:
        return one
    floor = b.op(Concat, one, part(floor, 1, frames), axis=3)
    distance = 1
    while distance < frames:
        late, early = part(shift, distance, frames), part(floor, 0, frames - distance)
        joined = b.op(Maximum, part(floor, distance, frames), b.op(Add, early, late))
        floor = b.op(Concat, part(floor, 0, distance), joined, axis=3)
        if 2 * distance < frames:
            both = b.op(Add, late, part(shift, 0, frames - distance))
            shift = b.op(Concat, part(shift, 0, distance), both, axis=3)
        distance *= 2
    return floor


def constant(b: Builder, matrix: Array) -> Value:
    """A matrix as the last two axes of four."""
    return b.constant(np.asarray(matrix, np.float64)[None, None])
