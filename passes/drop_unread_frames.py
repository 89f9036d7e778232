"""Convolutions read frames where they lie."""

from __future__ import annotations

from mctc.ir.build import make
from mctc.ir.ops.convolution import Conv2d
from mctc.ir.ops.shape import Slice
from mctc.ir.program import Program, Value
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.pattern import Outcome, Pattern, Refuse
from mctc.rewrite.rewriter import Rewriter, rewrite


class DropUnreadFrames(Pass):
    """Drops a slice before a strided convolution that would not read the frames cut off anyway."""

    name = "drop-unread-frames"
    promise = Exact()
    stage = "deploy"
    before = ("pack-states",)

    def run(self, program: Program, context: Context) -> Program:
        return rewrite(program, self.name, Pattern(Conv2d, _uncut), context=context)


def _uncut(op: Conv2d, to: Rewriter) -> Outcome:
    """A convolution of what a slice of leading frames was cut from."""
    match op:
        case Conv2d(x=Value(owner=Slice(begin=0, stride=1) as cut)) if cut.position == cut.x.type.sequence:
            if op.pad[1] != 0:
                return Refuse("it pads the frames that its input is cut to")
        case _:
            return None
    operands = (to[cut.x], to[op.weight], to.maybe(op.bias))
    if make(Conv2d, operands, op.attributes, op.origin).result.type != op.result.type:
        return Refuse("it would read frames that its input is cut to be without")
    to.note("the convolution reads its input before it is cut: it stops at the same frame")
    return to.op(Conv2d, *operands, **op.attributes)
