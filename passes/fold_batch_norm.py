"""Batch normalisation with running statistics is arithmetic on weights."""

from __future__ import annotations

from collections.abc import Sequence

from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.norm import BatchNorm
from mctc.ir.program import Op, Program, Value
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.fold import fold_parameters
from mctc.rewrite.rewriter import Rewriter, rewrite

ARITHMETIC = frozenset({"reshape", "scale", "rsqrt", "mul", "sub", "add", "neg"})


class FoldBatchNorm(Pass):
    """Folds batch_norm into the weight and bias of the conv2d before it; alone it becomes a scale and a shift.

    weight' = weight * s and bias' = (bias - mean) * s + shift, with s = gain / sqrt(variance + epsilon) for each
    output channel. A deploy pass: a training module keeps its batch statistics. A weight that is stored compressed
    stays as it was trained, for its codes are those that quantisation-aware training has seen.
    """

    name = "fold-batch-norm"
    promise = Exact()
    stage = "deploy"

    def run(self, program: Program, context: Context) -> Program:
        return fold_parameters(rewrite(program, self.name, _rule), self.name, lambda op: op.name in ARITHMETIC)


def _rule(op: Op, rewriter: Rewriter) -> Sequence[Value] | None:
    if isinstance(op, BatchNorm):
        return [_folded(op, rewriter) or _alone(op, rewriter)]
    return None


def _folded(op: BatchNorm, rewriter: Rewriter) -> Value | None:
    """The conv2d with new weights, if the batch norm's operand is one that nothing else reads."""
    old, x = op.x, rewriter[op.x]
    conv = x.owner
    if conv is None or conv.name != "conv2d" or rewriter.only_use(old) is not op:
        return None
    source, weight, bias = conv.operands
    assert weight is not None
    if any(value is not None and not _stored(value) for value in (weight, bias)) or _compressed(weight, rewriter):
        return None
    scale = _scale(op, rewriter)
    tall = rewriter.op("reshape", scale, axes=(("plain", weight.type.shape[0]), *[("plain", 1)] * 3))
    rewriter.note("batch_norm folded into the weight and bias of the conv2d before it")
    scaled = rewriter.op("mul", weight, tall)
    return rewriter.op("conv2d", source, scaled, _shift(op, rewriter, scale, bias), **conv.attributes)


def _stored(value: Value) -> bool:
    return value.owner is not None and value.owner.name in ("parameter", "constant")


def _compressed(weight: Value, rewriter: Rewriter) -> bool:
    assert weight.owner is not None, "it is stored"
    name = weight.owner.attributes.get("name")
    return name is not None and rewriter.program.parameters[name].quantization is not None


def _scale(op: Op, rewriter: Rewriter) -> Value:
    """gain / sqrt(variance + epsilon), one number a channel."""
    variance, gain = rewriter.named(op, "variance"), rewriter.named(op, "weight")
    deviation = rewriter.op("rsqrt", rewriter.op("scale", variance, offset=op.attributes["epsilon"]))
    return deviation if gain is None else rewriter.op("mul", gain, deviation)


def _shift(op: Op, rewriter: Rewriter, scale: Value, bias: Value | None) -> Value:
    """(bias - mean) * scale + shift. The operand that comes first gives the parameter its name."""
    mean, shift = rewriter.named(op, "mean"), rewriter.named(op, "bias")
    if bias is not None:
        moved = rewriter.op("mul", rewriter.op("sub", bias, mean), scale)
        return moved if shift is None else rewriter.op("add", moved, shift)
    moved = rewriter.op("mul", mean, scale)
    return rewriter.op("neg", moved) if shift is None else rewriter.op("sub", shift, moved)


def _alone(op: BatchNorm, rewriter: Rewriter) -> Value:
    """x * scale + shift, both vectors shaped to meet the channel axis."""
    x, scale = rewriter[op.x], _scale(op, rewriter)
    after = x.type.rank - 1 - channel_axis(op.x.type)
    axes = (("plain", scale.type.shape[0]), *[("plain", 1)] * after)
    shift = rewriter.op("reshape", _shift(op, rewriter, scale, None), axes=axes)
    rewriter.note("batch_norm became a scale and a shift for each channel")
    return rewriter.op("add", rewriter.op("mul", x, rewriter.op("reshape", scale, axes=axes)), shift)
