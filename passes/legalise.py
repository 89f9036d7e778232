"""Ops that Core ML's op set lacks, in terms of ops that it has."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from mctc.ir.op import axis_position
from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.shape import laid_out
from mctc.ir.program import Op, Program, Value
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.fold import fold_parameters
from mctc.rewrite.rewriter import Rewriter, rewrite


class Legalise(Pass):
    """Expresses rms_norm, log_softmax and linear on more than four axes in ops that Core ML runs in fp16."""

    name = "legalise"
    promise = Exact()
    stage = "deploy"
    before = ("pack-states",)

    def run(self, program: Program, context: Context) -> Program:
        def rule(op: Op, rewriter: Rewriter) -> Value | None:
            legal = LEGAL.get(op.name)
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


LEGAL: dict[str, Callable[[Op, Rewriter], Value | None]] = {
    "rms_norm": _rms_norm,
    "log_softmax": _log_softmax,
    "linear": _linear,
}
