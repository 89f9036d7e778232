"""The pass `fuse-silu`: x * sigmoid(x) is one op, silu(x)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mctc.ir.ops.elementwise import Mul, Sigmoid, Silu
from mctc.ir.program import Program, Value
from mctc.rewrite.base import Context, Exact, Pass, Promise
from mctc.rewrite.options import option
from mctc.rewrite.pattern import Outcome, Pattern, Refuse
from mctc.rewrite.rewriter import Rewriter, rewrite


@dataclass(frozen=True)
class FuseSilu(Pass):
    """x * sigmoid(x), written out in a spec, becomes silu(x)."""

    name: ClassVar[str] = "fuse-silu"
    promise: ClassVar[Promise] = Exact()
    stage: ClassVar[str] = "common"
    before: ClassVar[tuple[str, ...]] = ("linear-to-conv",)

    shared: bool = option(False, "fuse a sigmoid that other ops read too, which is then computed twice")

    def run(self, program: Program, context: Context) -> Program:
        return rewrite(program, self.name, Pattern(Mul, self.fuse), context=context)

    def fuse(self, op: Mul, to: Rewriter) -> Outcome:
        """Called for every `mul`: what replaces its result, None where the pass is not for it, or why it stays."""
        for x, gate in ((op.left, op.right), (op.right, op.left)):
            match gate:
                case Value(owner=Sigmoid(x=gated)) if gated is x:
                    if to.only_use(gate) is not op and not self.shared:
                        return Refuse("something else reads the sigmoid")
                    to.note(f"{x.name or 'x'} * sigmoid({x.name or 'x'}) is one silu")
                    return to.op(Silu, to[x])
        return None
