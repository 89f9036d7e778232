"""Convolutions read frames where they lie."""

from __future__ import annotations

from mctc.ir.build import make
from mctc.ir.ops.convolution import Conv2d
from mctc.ir.ops.shape import Slice
from mctc.ir.program import Op, Program, Value
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.rewriter import Rewriter, rewrite


class DropUnreadFrames(Pass):
    """Drops a slice before a strided convolution that would not read the frames cut off anyway."""

    name = "drop-unread-frames"
    promise = Exact()
    stage = "deploy"
    before = ("pack-states",)

    def run(self, program: Program, context: Context) -> Program:
        def rule(op: Op, rewriter: Rewriter) -> Value | None:
            source = _cut_short(op)
            if source is None:
                return None
            operands = (rewriter[source], *rewriter.operands(op)[1:])
            longer = make(type(op), operands, op.attributes, op.origin)
            if longer.result.type != op.result.type:
                return None
            rewriter.note("the convolution reads its input before it is cut: it stops at the same frame")
            return rewriter.op(op.name, *operands, **op.attributes)

        return rewrite(program, self.name, rule)


def _cut_short(op: Op) -> Value | None:
    """What a convolution without padding on the right reads the first frames of, through a slice."""
    if not isinstance(op, Conv2d) or op.pad[1] != 0:
        return None
    cut = op.x.owner
    if not isinstance(cut, Slice) or cut.position != cut.x.type.sequence:
        return None
    return cut.x if cut.begin == 0 and cut.stride == 1 else None
