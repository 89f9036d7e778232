"""Ops that a stack lacks, or that its Neural Engine refuses, in terms of ops that it runs there in fp16."""

from __future__ import annotations

from math import prod, sqrt

import numpy as np

from mctc.ir.ops.convolution import Conv2d
from mctc.ir.ops.elementwise import (
    Abs,
    Add,
    Div,
    Exp,
    Log,
    Maximum,
    Mul,
    Neg,
    Rsqrt,
    Scale,
    Sigmoid,
    Silu,
    Square,
    Sub,
    Tanh,
)
from mctc.ir.ops.linear import Linear, channel_axis
from mctc.ir.ops.norm import ChannelNorm, LayerNorm, LogSoftmax, RmsNorm
from mctc.ir.ops.position import PositionalEmbedding
from mctc.ir.ops.reduce import ReduceMax, ReduceMean, ReduceSum
from mctc.ir.ops.shape import Concat, Reshape, Slice, Transpose, laid_out
from mctc.ir.program import Program, Value
from mctc.passes.numbers.half import SMALLEST_NORMAL, holds, power_of_two
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.fold import fold_parameters
from mctc.rewrite.pattern import Pattern, Refuse, Rule, first_of
from mctc.rewrite.rewriter import Rewriter, rewrite


class Legalise(Pass):
    """Expresses ops that a stack lacks, or refuses on the Neural Engine, in ops that it runs there in fp16.

    Core ML: rms_norm, log_softmax, linear on more than four axes. Core AI: those, layer_norm, silu and tanh. Either: a
    norm whose epsilon fp16 has no number for, which would divide by zero on silence.
    """

    name = "legalise"
    promise = Exact()
    stage = "deploy"
    after = ("lower-rnn", "lower-attention", "lower-selective-scan")
    before = ("pack-states",)

    def run(self, program: Program, context: Context) -> Program:
        rule = first_of(*(UNHELD if context.precision == "fp16" else ()), *LEGAL.get(context.stack, LEGAL["coreml"]))
        return fold_parameters(rewrite(program, self.name, rule, context=context), self.name)


def _rms_norm(op: RmsNorm, rewriter: Rewriter) -> Value:
    """Layer norm of x and -x side by side: their mean is 0, so their variance is the mean of x^2.

    No op squares x in fp16, which would overflow beyond 256 and vanish below 2.4e-4 (ANE-NM-001, ANE-NM-005).
    """
    x, weight = rewriter[op.x], rewriter.maybe(op.weight)
    axis, channels = channel_axis(op.x.type), x.type.extents[channel_axis(op.x.type)].value
    both = rewriter.op(Concat, x, rewriter.op(Neg, x), axis=axis)
    gain = None if weight is None else rewriter.op(Concat, weight, weight, axis=0)
    normed = rewriter.op(LayerNorm, both, gain, epsilon=op.epsilon)
    return rewriter.op(Slice, normed, axis=axis, begin=0, end=channels)


def _log_softmax(op: LogSoftmax, rewriter: Rewriter) -> Value:
    """x - max - log(sum(exp(x - max))): no exponent is above 0, and the sum is at least 1."""
    x, axis = rewriter[op.x], op.position
    shifted = rewriter.op(Sub, x, rewriter.op(ReduceMax, x, axis=axis))
    total = rewriter.op(ReduceSum, rewriter.op(Exp, shifted), axis=axis)
    return rewriter.op(Sub, shifted, rewriter.op(Log, total))


def _linear(op: Linear, rewriter: Rewriter) -> Value | Refuse:
    """A 1x1 convolution between two reshapes: all axes between channel and frames are one for it."""
    x, weight, bias = rewriter[op.x], rewriter[op.weight], rewriter.maybe(op.bias)
    type_ = x.type
    if not laid_out(type_) or not type_.is_static or type_.sequence is None:
        return Refuse(f"{type_} is not (batch, channel, ..., frames) of known extents")
    shape, (out, into) = type_.shape, weight.type.shape
    last = type_.axes[-1].role if type_.sequence == type_.rank - 1 else type_.axes[type_.sequence].role
    flat = (("batch", shape[0]), ("channel", into), ("unit", prod(shape[2:-1])), (last.value, shape[-1]))
    kernel = rewriter.op(Reshape, weight, axes=(("plain", out), ("plain", into), ("plain", 1), ("plain", 1)))
    y = rewriter.op(Conv2d, rewriter.op(Reshape, x, axes=flat), kernel, bias)
    return rewriter.reshaped(y, op.result.type)


def _positional_embedding(op: PositionalEmbedding, rewriter: Rewriter) -> Value | Refuse:
    """The rows of a parameter that the frames take, laid out as the result: nothing is left to compute."""
    x, table = rewriter[op.x], rewriter[op.table]
    if not laid_out(x.type) or not x.type.is_static or x.type.sequence is None:
        return Refuse(f"{x.type} is not (batch, channel, ..., frames) of known extents")
    frames, count = x.type.shape[x.type.sequence], table.type.shape[0]
    if frames > count:  # a cyclic one
        table = rewriter.op(Concat, *[table] * -(-frames // count), axis=0)
    rows = rewriter.op(Slice, table, axis=0, end=frames)
    return rewriter.reshaped(rewriter.op(Transpose, rows, order=(1, 0)), op.result.type)


def _silu(op: Silu, rewriter: Rewriter) -> Value:
    """x * sigmoid(x): Core AI lowers its own silu through fp32, which leaves the engine (NE32)."""
    x = rewriter[op.x]
    return rewriter.op(Mul, x, rewriter.op(Sigmoid, x))


def _tanh(op: Tanh, rewriter: Rewriter) -> Value:
    """2 * sigmoid(2x) - 1 (NE33)."""
    double = rewriter.op(Scale, rewriter[op.x], factor=2.0)
    return rewriter.op(Scale, rewriter.op(Sigmoid, double), factor=2.0, offset=-1.0)


def _centred_norm(op: LayerNorm, rewriter: Rewriter) -> Value:
    """Layer norm in ops that every stack has: Core AI has none for it. Half of x less its mean is in fp16's range."""
    x = rewriter[op.x]
    half = rewriter.op(Scale, x, factor=0.5)
    mean = rewriter.op(ReduceMean, half, axis=channel_axis(op.x.type))
    return _normalised(op, rewriter.op(Sub, half, mean), op.epsilon / 4, rewriter)


def _plain_norm(op: RmsNorm, rewriter: Rewriter) -> Value:
    """RMS norm in ops that every stack has."""
    x = rewriter[op.x]
    return _normalised(op, x, op.epsilon, rewriter)


def _normalised(op: ChannelNorm, x: Value, epsilon: float, rewriter: Rewriter) -> Value:
    """x / sqrt(mean(x^2) + epsilon), times weight, plus bias, with every tensor in the range of fp16.

    For any m > 0 that is z / sqrt(mean(z^2) + (F/m)^2 (epsilon/F^2)) with z = x/m. With m the largest magnitude, or F
    if that is more, nothing that is squared is above 1; x^2 itself overflows from 256 on. F is a power of two near
    sqrt(epsilon), so that fp16 holds epsilon/F^2 as exactly as epsilon.
    """
    emit, axis = rewriter.op, channel_axis(op.x.type)
    base = max(power_of_two(sqrt(epsilon)), SMALLEST_NORMAL)
    floor = rewriter.constant(np.float64(base))
    m = emit(Maximum, emit(ReduceMax, emit(Abs, x), axis=axis), floor)
    z = emit(Div, x, m)
    power = emit(ReduceMean, emit(Square, z), axis=axis)
    least = emit(Scale, emit(Square, emit(Div, floor, m)), factor=epsilon / base**2)
    y = emit(Mul, z, emit(Rsqrt, emit(Add, power, least)))
    for name, kind in (("weight", Mul), ("bias", Add)):
        vector = rewriter.named(op, name)
        if vector is not None:
            column = [("channel", vector.type.size) if i == axis else ("unit", 1) for i in range(x.type.rank)]
            y = emit(kind, y, emit(Reshape, vector, axes=tuple(column)))
    return y


UNHELD: tuple[Rule, ...] = (
    Pattern(RmsNorm, lambda op, to: None if holds(op.epsilon) else _plain_norm(op, to)),
    Pattern(LayerNorm, lambda op, to: None if holds(op.epsilon) else _centred_norm(op, to)),
)
"""Norms whose epsilon fp16 has no number for: the stack's own op would have none, and divide by zero on silence."""
COMMON: tuple[Rule, ...] = (
    Pattern(LogSoftmax, _log_softmax),
    Pattern(Linear, _linear),
    Pattern(PositionalEmbedding, _positional_embedding),
)
LEGAL: dict[str, tuple[Rule, ...]] = {
    "coreml": (*COMMON, Pattern(RmsNorm, _rms_norm)),
    "coreai": (
        *COMMON, Pattern(RmsNorm, _plain_norm), Pattern(LayerNorm, _centred_norm), Pattern(Silu, _silu),
        Pattern(Tanh, _tanh),
    ),
}  # fmt: skip
