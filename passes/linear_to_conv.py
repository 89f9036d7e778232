"""Dense layers become 1x1 convolutions."""

from __future__ import annotations

from mctc.ir.ops.convolution import Conv2d
from mctc.ir.ops.linear import Linear
from mctc.ir.ops.shape import Reshape, laid_out
from mctc.ir.program import Program, Value
from mctc.ir.types import Axis, Role
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.fold import fold_parameters
from mctc.rewrite.pattern import Pattern, Refuse
from mctc.rewrite.rewriter import Rewriter, rewrite


class LinearToConv(Pass):
    """Turns linear into a 1x1 conv2d with the weight reshaped from [out, in] to [out, in, 1, 1].

    The Neural Engine's native product; Core ML may place `linear` on the CPU (ANE-MM-005).
    """

    name = "linear-to-conv"
    promise = Exact()
    after = ("channels-first",)

    def run(self, program: Program, context: Context) -> Program:
        rewritten = rewrite(program, self.name, Pattern(Linear, _convolution), context=context)
        return fold_parameters(rewritten, self.name)


def _convolution(op: Linear, to: Rewriter) -> Value | Refuse:
    x, weight, bias = to[op.x], to[op.weight], to.maybe(op.bias)
    if not laid_out(x.type) or x.type.rank > 5:
        to.explain(op, f"stays linear: {x.type} is not (batch, channel, middle, sequence)")
        return Refuse(f"{x.type} is not (batch, channel, middle, sequence)")
    axes = [*((axis.role.value, axis.extent.value) for axis in weight.type.axes), ("plain", 1), ("plain", 1)]
    kernel = to.op(Reshape, weight, axes=tuple(axes))
    to.note(f"linear became a 1x1 conv2d, its weight reshaped to {list(kernel.type.shape)}")
    return _convolved(to, x, kernel, bias)


def _convolved(rewriter: Rewriter, x: Value, kernel: Value, bias: Value | None) -> Value:
    """The convolution; feature and label rows of a tensor of rank 5 stand in one axis meanwhile."""
    if x.type.rank == 4:
        return rewriter.op(Conv2d, x, kernel, bias)
    batch, channel, feature, label, time = x.type.axes
    rows = Axis(Role.FEATURE, feature.extent * label.extent)
    flat = rewriter.reshaped(x, x.type.with_axes([batch, channel, rows, time]))
    y = rewriter.op(Conv2d, flat, kernel, bias)
    return rewriter.reshaped(y, y.type.with_axes([batch, y.type.axes[1], feature, label, time]))
