"""Convolutions read frames where they lie."""

from __future__ import annotations

from mctc.ir.build import make
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
            longer = make(op.definition, operands, op.attributes, op.origin)
            if longer.result.type != op.result.type:
                return None
            rewriter.note("the convolution reads its input before it is cut: it stops at the same frame")
            return rewriter.op(op.name, *operands, **op.attributes)

        return rewrite(program, self.name, rule)


def _cut_short(op: Op) -> Value | None:
    """What a convolution without padding on the right reads the first frames of, through a slice."""
    if op.name != "conv2d" or op.attributes["pad"][1] != 0 or op.operands[0] is None:
        return None
    cut = op.operands[0].owner
    if cut is None or cut.name != "slice" or cut.operands[0] is None:
        return None
    s, source = cut.signature, cut.operands[0]
    along_frames = s.axis("x") == source.type.sequence
    return source if along_frames and s.int("begin") == 0 and s.int("stride") == 1 else None
