"""Ops that a stack lacks, or that its Neural Engine refuses, in terms of ops that it runs there in fp16."""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt

import numpy as np

from mctc.ir.op import axis_position
from mctc.ir.ops.convolution import width_axis
from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.shape import laid_out
from mctc.ir.program import Op, Program, Value
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.fold import fold_parameters
from mctc.rewrite.rewriter import Rewriter, rewrite

Legal = Callable[[Op, Rewriter], Value | None]
SMALLEST_NORMAL = 2.0**-14  # of fp16
WIDEST = 15  # taps of a kernel of one row (ANE-CV-001)


class Legalise(Pass):
    """Expresses ops that a stack lacks, or refuses on the Neural Engine, in ops that it runs there in fp16.

    Core ML: rms_norm, log_softmax, linear on more than four axes, kernels too wide. Core AI: the first three, and
    layer_norm, silu and tanh.
    """

    name = "legalise"
    promise = Exact()
    stage = "deploy"
    after = ("lower-rnn", "lower-attention", "lower-selective-scan")
    before = ("pack-states",)

    def run(self, program: Program, context: Context) -> Program:
        table = LEGAL.get(context.stack, LEGAL["coreml"])

        def rule(op: Op, rewriter: Rewriter) -> Value | None:
            legal = table.get(op.name)
            return legal(op, rewriter) if legal else None

        return fold_parameters(rewrite(program, self.name, rule), self.name)


def _rms_norm(op: Op, rewriter: Rewriter) -> Value:
    """Layer norm of x and -x side by side: their mean is 0, so their variance is the mean of x^2.

    No op squares x in fp16, which would overflow beyond 256 and vanish below 2.4e-4 (ANE-NM-001, ANE-NM-005).
    """
    x, weight = rewriter.operands(op)
    assert x is not None
    axis, channels = channel_axis(op.signature, "x"), x.type.extents[channel_axis(op.signature, "x")].value
    both = rewriter.op("concat", x, rewriter.op("neg", x), axis=axis)
    gain = None if weight is None else rewriter.op("concat", weight, weight, axis=0)
    normed = rewriter.op("layer_norm", both, gain, epsilon=op.attributes["epsilon"])
    return rewriter.op("slice", normed, axis=axis, begin=0, end=channels)


def _log_softmax(op: Op, rewriter: Rewriter) -> Value:
    """x - max - log(sum(exp(x - max))): no exponent is above 0, and the sum is at least 1."""
    (x,) = rewriter.operands(op)
    assert x is not None
    axis = axis_position(x.type, op.attributes["axis"], "x")
    shifted = rewriter.op("sub", x, rewriter.op("reduce_max", x, axis=axis))
    total = rewriter.op("reduce_sum", rewriter.op("exp", shifted), axis=axis)
    return rewriter.op("sub", shifted, rewriter.op("log", total))


def _linear(op: Op, rewriter: Rewriter) -> Value | None:
    """A 1x1 convolution between two reshapes: all axes between channel and frames are one for it."""
    x, weight, bias = rewriter.operands(op)
    assert x is not None
    assert weight is not None
    type_ = x.type
    if not laid_out(type_) or not type_.is_static or type_.sequence is None:
        return None
    shape, (out, into) = type_.shape, weight.type.shape
    last = type_.axes[-1].role if type_.sequence == type_.rank - 1 else type_.axes[type_.sequence].role
    flat = (("batch", shape[0]), ("channel", into), ("unit", prod(shape[2:-1])), (last.value, shape[-1]))
    kernel = rewriter.op("reshape", weight, axes=(("plain", out), ("plain", into), ("plain", 1), ("plain", 1)))
    y = rewriter.op("conv2d", rewriter.op("reshape", x, axes=flat), kernel, bias)
    return rewriter.reshaped(y, op.result.type)


def _positional_embedding(op: Op, rewriter: Rewriter) -> Value | None:
    """The rows of a parameter that the frames take, laid out as the result: nothing is left to compute."""
    x, table = rewriter.operands(op)
    assert x is not None
    assert table is not None
    if not laid_out(x.type) or not x.type.is_static or x.type.sequence is None:
        return None
    frames, count = x.type.shape[x.type.sequence], table.type.shape[0]
    if frames > count:  # a cyclic one
        table = rewriter.op("concat", *[table] * -(-frames // count), axis=0)
    rows = rewriter.op("slice", table, axis=0, end=frames)
    return rewriter.reshaped(rewriter.op("transpose", rows, order=(1, 0)), op.result.type)


def _wide_conv2d(op: Op, rewriter: Rewriter) -> Value | None:
    """The sum of convolutions with pieces of a one-row kernel that is wider than the engine takes (ANE-CV-001).

    A quantised kernel stays whole: its pieces would get other scales.
    """
    x, weight, bias = rewriter.operands(op)
    assert x is not None
    assert weight is not None
    height, width = weight.type.shape[2:]
    if height > 1 or width <= WIDEST or not x.type.is_static or _quantized(weight, rewriter.program):
        return None
    axis, a = width_axis(op.signature), op.attributes
    (before, after), stride, dilation = a["pad"], a["stride"][1], a["dilation"][1]
    frames = op.result.type.shape[axis]
    padded = rewriter.op("pad", x, axis=axis, before=before, after=after) if before or after else x
    total: Value | None = None
    for start in range(0, width, WIDEST):
        taps = min(WIDEST, width - start)
        first, span = start * dilation, (taps - 1) * dilation + 1
        seen = rewriter.op("slice", padded, axis=axis, begin=first, end=first + span + stride * (frames - 1))
        piece = rewriter.op("slice", weight, axis=3, begin=start, end=start + taps)
        part = rewriter.op("conv2d", seen, piece, None if start else bias, **{**a, "pad": (0, 0)})
        total = part if total is None else rewriter.op("add", total, part)
    return total


def _quantized(weight: Value, program: Program) -> bool:
    owner = weight.owner
    if owner is None or owner.name != "parameter":
        return False
    return program.parameters[owner.attributes["name"]].quantization is not None


def _silu(op: Op, rewriter: Rewriter) -> Value:
    """x * sigmoid(x): Core AI lowers its own silu through fp32, which leaves the engine (NE32)."""
    (x,) = rewriter.operands(op)
    assert x is not None
    return rewriter.op("mul", x, rewriter.op("sigmoid", x))


def _tanh(op: Op, rewriter: Rewriter) -> Value:
    """2 * sigmoid(2x) - 1 (NE33)."""
    (x,) = rewriter.operands(op)
    assert x is not None
    return rewriter.op("scale", rewriter.op("sigmoid", rewriter.op("scale", x, factor=2.0)), factor=2.0, offset=-1.0)


def _centred_norm(op: Op, rewriter: Rewriter) -> Value:
    """Layer norm of Core AI, which has no op for it."""
    x = rewriter.named(op, "x")
    assert x is not None
    mean = rewriter.op("reduce_mean", x, axis=channel_axis(op.signature, "x"))
    return _normalised(op, rewriter.op("sub", x, mean), rewriter)


def _plain_norm(op: Op, rewriter: Rewriter) -> Value:
    """RMS norm of Core AI, which has no op for it."""
    x = rewriter.named(op, "x")
    assert x is not None
    return _normalised(op, x, rewriter)


def _normalised(op: Op, x: Value, rewriter: Rewriter) -> Value:
    """x / sqrt(mean(x^2) + epsilon), times weight, plus bias, with every tensor in the range of fp16.

    For any m > 0 that is z / sqrt(mean(z^2) + (sqrt(epsilon)/m)^2) with z = x/m. With m the largest magnitude, or
    sqrt(epsilon) if that is more, nothing that is squared is above 1; x^2 itself overflows from 256 on.
    """
    emit, axis = rewriter.op, channel_axis(op.signature, "x")
    root = sqrt(op.signature.float("epsilon"))
    largest = emit("reduce_max", emit("abs", x), axis=axis)
    m = emit("maximum", largest, rewriter.constant(np.float64(max(root, SMALLEST_NORMAL))))
    z = emit("div", x, m)
    power = emit("reduce_mean", emit("square", z), axis=axis)
    epsilon = emit("square", emit("div", rewriter.constant(np.float64(root)), m))
    y = emit("mul", z, emit("rsqrt", emit("add", power, epsilon)))
    for name, kind in (("weight", "mul"), ("bias", "add")):
        vector = rewriter.named(op, name)
        if vector is not None:
            column = [("channel", vector.type.size) if i == axis else ("unit", 1) for i in range(x.type.rank)]
            y = emit(kind, y, emit("reshape", vector, axes=tuple(column)))
    return y


COMMON: dict[str, Legal] = {
    "log_softmax": _log_softmax,
    "linear": _linear,
    "positional_embedding": _positional_embedding,
}
LEGAL: dict[str, dict[str, Legal]] = {
    "coreml": {**COMMON, "rms_norm": _rms_norm, "conv2d": _wide_conv2d},
    "coreai": {**COMMON, "rms_norm": _plain_norm, "layer_norm": _centred_norm, "silu": _silu, "tanh": _tanh},
}
