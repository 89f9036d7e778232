"""Dense layers become 1x1 convolutions."""

from __future__ import annotations

from collections.abc import Sequence

from mctc.ir.ops.shape import laid_out
from mctc.ir.program import Op, Program, Value
from mctc.ir.types import TensorType
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
            if not convolvable(x.type):
                where = op.origin.path or rewriter.function.name
                context.explain(self.name, where, f"stays linear: {x.type} is not (batch, channel, middle, sequence)")
                return None
            axes = [*((axis.role.value, axis.extent.value) for axis in weight.type.axes), ("plain", 1), ("plain", 1)]
            kernel = rewriter.op("reshape", weight, axes=tuple(axes))
            rewriter.note(f"linear became a 1x1 conv2d, its weight reshaped to {list(kernel.type.shape)}")
            return rewriter.emit("conv2d", x, kernel, bias)

        return fold_parameters(rewrite(program, self.name, rule), self.name)


def convolvable(type_: TensorType) -> bool:
    """Whether conv2d takes a tensor of this type: laid out, of rank 4, with a sequence axis."""
    return laid_out(type_) and type_.rank == 4 and type_.sequence is not None
