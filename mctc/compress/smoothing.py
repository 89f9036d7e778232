"""Factors that move from what a layer is given into its weight, so that 8 bits hold both (Xiao et al. 2023).

A norm's weight and bias are divided by a factor a channel, the columns of all layers that read it multiplied with it
(arXiv:2211.10438, section 4: max |x|^a / max |w|^(1-a)). Factors are powers of two: the model is the same to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

import numpy as np

from mctc.compress.layers import is_own
from mctc.compress.magnitudes import largest
from mctc.compress.statistics import Statistics
from mctc.ir.op import Array
from mctc.ir.ops.convolution import Conv1d, Conv2d
from mctc.ir.ops.leaf import parameter_of
from mctc.ir.ops.linear import Linear
from mctc.ir.ops.norm import ChannelNorm
from mctc.ir.ops.quantize import FakeQuantize
from mctc.ir.program import Function, Program, Value
from mctc.records import dataclass
from mctc.weights import Weights

FARTHEST = 8  # octaves that a factor may be from 1


@dataclass(frozen=True)
class Smoothing:
    """factors: of the columns of weights, by name [inputs]. norms: other values of norms' parameters."""

    factors: Mapping[str, Array] = field(default_factory=dict)
    norms: Mapping[str, Array] = field(default_factory=dict)

    def weight(self, name: str, value: Array) -> Array:
        """A weight [out, in, ...] with its columns multiplied."""
        factors = self.factors.get(name)
        return value if factors is None else value * factors.reshape(1, -1, *[1] * (value.ndim - 2))

    def entries(self, name: str, count: int) -> Array | None:
        """The factor of each of `count` entries of a row; None where a weight stays."""
        factors = self.factors.get(name)
        return None if factors is None else np.repeat(factors, count // len(factors))


NONE = Smoothing()


def smoothed(program: Program, weights: Weights, statistics: Statistics, share: float) -> Smoothing:
    """What is moved between norms and the layers that read them, of which one has its activations in 8 bits.

    share: how much of the range of the activations moves, 0 to 1.
    """
    factors: dict[str, Array] = {}
    norms: dict[str, Array] = {}
    once = _read_once(program)
    for function in program.functions.values():
        for norm, read in _norms(function):
            own = [name for name in (parameter_of(norm.operand("weight")), parameter_of(norm.operand("bias"))) if name]
            names = [*own, *read]
            if not parameter_of(norm.operand("weight")) or not all(
                name in once and is_own(program.parameters[name]) for name in names
            ):
                continue
            counts = next(filter(lambda each: each is not None, map(statistics.magnitude, read)), None)
            if counts is None:
                continue
            values = [weights.value(program.parameters[name]) for name in read]
            found = _factors(counts, values, share)
            factors |= dict.fromkeys(read, found)
            norms |= {name: weights.value(program.parameters[name]) / found for name in own}
    return Smoothing(factors, norms)


def _factors(counts: Array, values: Sequence[Array], share: float) -> Array:
    """Powers of two about 1. counts: [inputs * taps, bins]; values: [out, inputs, ...]."""
    inputs = values[0].shape[1]
    activations = largest(counts).reshape(inputs, -1).max(axis=1)
    columns = np.max([np.abs(value).max(axis=(0, *range(2, value.ndim))) for value in values], axis=0)
    known = (activations > 0) & (columns > 0)
    octaves = np.zeros(inputs)
    octaves[known] = share * np.log2(activations[known]) - (1 - share) * np.log2(columns[known])
    octaves[known] -= np.median(octaves[known]) if known.any() else 0.0
    return np.asarray(np.exp2(np.clip(np.rint(octaves), -FARTHEST, FARTHEST)), np.float32)


def _norms(function: Function) -> Iterator[tuple[ChannelNorm, list[str]]]:
    """Norms that layers alone read, one of them through 8 bits, and the weights of these layers."""
    uses, given = function.uses(), set(function.outputs)
    for op in function.ops:
        if not isinstance(op, ChannelNorm):
            continue
        readers = list(_readers(op.result, uses))
        weights = [parameter_of(reader.weight) for reader in readers if isinstance(reader, (Linear, Conv1d, Conv2d))]
        ungrouped = all(isinstance(reader, Linear) or getattr(reader, "groups", 1) == 1 for reader in readers)
        held = any(isinstance(user, FakeQuantize) for user in uses.get(op.result, ()))
        if held and ungrouped and op.result not in given and len(weights) == len(readers) and all(weights):
            yield op, weights


def _readers(value: Value, uses: Mapping[Value, Sequence[object]]) -> Iterator[object]:
    for user in uses.get(value, ()):
        if isinstance(user, FakeQuantize):
            yield from _readers(user.result, uses)
        else:
            yield user


def _read_once(program: Program) -> set[str]:
    """Parameters that one op reads."""
    count: dict[str, int] = {}
    for _, op in program.ops():
        for value in op.operands:
            if name := parameter_of(value):
                count[name] = count.get(name, 0) + 1
    return {name for name, number in count.items() if number == 1}
