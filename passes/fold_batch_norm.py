"""Batch normalisation with running statistics is arithmetic on weights."""

from __future__ import annotations

from mctc.ir.ops.convolution import Conv2d
from mctc.ir.ops.elementwise import Add, Mul, Neg, Rsqrt, Scale, Sub
from mctc.ir.ops.leaf import Constant, ParameterOp
from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.norm import BatchNorm
from mctc.ir.ops.shape import Reshape
from mctc.ir.program import Op, Program, Value
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.fold import fold_parameters
from mctc.rewrite.pattern import Pattern, Refuse, first_of
from mctc.rewrite.rewriter import Rewriter, rewrite

ARITHMETIC = (Reshape, Scale, Rsqrt, Mul, Sub, Add, Neg)


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
        rule = first_of(Pattern(BatchNorm, _folded), Pattern(BatchNorm, _alone))
        rewritten = rewrite(program, self.name, rule, context=context)
        return fold_parameters(rewritten, self.name, lambda op: isinstance(op, ARITHMETIC))


class FoldNumberNorms(FoldBatchNorm):
    """Folds as fold-batch-norm does, before numbers are rounded, where the statistics are numbers of the program.

    What is made of them is stored, so that is rounded, once: not the statistics, and then what is made of them.
    """

    name = "fold-number-norms"
    stage = "number"
    before = ("round-numbers",)

    def run(self, program: Program, context: Context) -> Program:
        if context.precision != "fp16" or not any(_of_numbers(op) for _, op in program.ops()):
            return program
        norms = first_of(Pattern(BatchNorm, _folded), Pattern(BatchNorm, _alone))
        rewritten = rewrite(program, self.name, lambda op, to: norms(op, to) if _of_numbers(op) else None)
        return fold_parameters(rewritten, self.name, lambda op: isinstance(op, ARITHMETIC))


def _of_numbers(op: Op) -> bool:
    if not isinstance(op, BatchNorm):
        return False
    return all(isinstance(value.owner, Constant) for value in (op.mean, op.variance, op.weight, op.bias) if value)


def _folded(op: BatchNorm, to: Rewriter) -> Value | Refuse:
    """The conv2d with new weights, if the batch norm's operand is one that nothing else reads."""
    conv = to[op.x].owner
    if not isinstance(conv, Conv2d):
        return Refuse("no conv2d stands before it")
    if to.only_use(op.x) is not op:
        return Refuse("something else reads the conv2d before it")
    if not all(isinstance(value.owner, (ParameterOp, Constant)) for value in (conv.weight, conv.bias) if value):
        return Refuse("the weight or the bias of the conv2d before it is computed")
    if stored := to.stored(conv.weight):
        return Refuse(f"the weight of the conv2d before it is stored as {stored.scheme}, and its codes stay as trained")
    scale = _scale(op, to)
    tall = to.op(Reshape, scale, axes=(("plain", conv.weight.type.shape[0]), *[("plain", 1)] * 3))
    to.note("batch_norm folded into the weight and bias of the conv2d before it")
    scaled = to.op(Mul, conv.weight, tall)
    return to.op(Conv2d, conv.x, scaled, _shift(op, to, scale, conv.bias), **conv.attributes)


def _scale(op: BatchNorm, to: Rewriter) -> Value:
    """gain / sqrt(variance + epsilon), one number a channel."""
    deviation = to.op(Rsqrt, to.op(Scale, to[op.variance], offset=op.epsilon))
    return deviation if op.weight is None else to.op(Mul, to[op.weight], deviation)


def _shift(op: BatchNorm, to: Rewriter, scale: Value, bias: Value | None) -> Value:
    """(bias - mean) * scale + shift. The operand that comes first gives the parameter its name."""
    mean, shift = to[op.mean], to.maybe(op.bias)
    if bias is not None:
        moved = to.op(Mul, to.op(Sub, bias, mean), scale)
        return moved if shift is None else to.op(Add, moved, shift)
    moved = to.op(Mul, mean, scale)
    return to.op(Neg, moved) if shift is None else to.op(Sub, shift, moved)


def _alone(op: BatchNorm, to: Rewriter) -> Value:
    """x * scale + shift, both vectors shaped to meet the channel axis."""
    x, scale = to[op.x], _scale(op, to)
    after = x.type.rank - 1 - channel_axis(op.x.type)
    axes = (("plain", scale.type.shape[0]), *[("plain", 1)] * after)
    shift = to.op(Reshape, _shift(op, to, scale, None), axes=axes)
    to.note("batch_norm became a scale and a shift for each channel")
    return to.op(Add, to.op(Mul, x, to.op(Reshape, scale, axes=axes)), shift)
