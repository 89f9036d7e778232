"""Dense layers become 1x1 convolutions."""

from __future__ import annotations

from collections.abc import Sequence

from mctc.ir.ops.shape import laid_out
from mctc.ir.program import Op, Program, Value
from mctc.ir.types import Axis, Role
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.fold import fold_parameters
from mctc.rewrite.rewriter import Rewriter, rewrite


class LinearToConv(Pass):
    """Turns linear into a 1x1 conv2d with the weight reshaped from [out, in] to [out, in, 1, 1].

    The Neural Engine's native product; Core ML may place `linear` on the CPU (ANE-MM-005).
    """

    name = "linear-to-conv"
    promise = Exact()
    after = ("channels-first",)

    def run(self, program: Program, context: Context) -> Program:
        def rule(op: Op, rewriter: Rewriter) -> Sequence[Value] | None:
            if op.name != "linear":
                return None
            x, weight, bias = rewriter.operands(op)
            assert x is not None
            assert weight is not None
            if not laid_out(x.type) or x.type.rank > 5:
                where = op.origin.path or rewriter.function.name
                context.explain(self.name, where, f"stays linear: {x.type} is not (batch, channel, middle, sequence)")
                return None
            axes = [*((axis.role.value, axis.extent.value) for axis in weight.type.axes), ("plain", 1), ("plain", 1)]
            kernel = rewriter.op("reshape", weight, axes=tuple(axes))
            rewriter.note(f"linear became a 1x1 conv2d, its weight reshaped to {list(kernel.type.shape)}")
            return [_convolved(rewriter, x, kernel, bias)]

        return fold_parameters(rewrite(program, self.name, rule), self.name)


def _convolved(rewriter: Rewriter, x: Value, kernel: Value, bias: Value | None) -> Value:
    """The convolution; feature and label rows of a tensor of rank 5 stand in one axis meanwhile."""
    if x.type.rank == 4:
        return rewriter.op("conv2d", x, kernel, bias)
    batch, channel, feature, label, time = x.type.axes
    rows = Axis(Role.FEATURE, feature.extent * label.extent)
    flat = rewriter.reshaped(x, x.type.with_axes([batch, channel, rows, time]))
    y = rewriter.op("conv2d", flat, kernel, bias)
    return rewriter.reshaped(y, y.type.with_axes([batch, y.type.axes[1], feature, label, time]))
