"""The pass `fuse-silu`: x * sigmoid(x) is one op, silu(x)."""

from __future__ import annotations

from typing import ClassVar

from mctc.ir.program import Op, Program, Value
from mctc.rewrite.base import Context, Exact, Pass, Promise
from mctc.rewrite.rewriter import Rewriter, rewrite


class FuseSilu(Pass):
    """x * sigmoid(x), written out in a spec, becomes silu(x)."""

    name: ClassVar[str] = "fuse-silu"
    promise: ClassVar[Promise] = Exact()
    stage: ClassVar[str] = "common"
    before: ClassVar[tuple[str, ...]] = ("linear-to-conv",)

    def run(self, program: Program, context: Context) -> Program:
        return rewrite(program, self.name, fuse)


def fuse(op: Op, to: Rewriter) -> Value | None:
    """The rule: called for every op in order; returns what replaces the op's result, or None to keep the op."""
    if op.name != "mul":
        return None
    left, right = op.operands
    for x, gate in ((left, right), (right, left)):
        if x is not None and gate is not None and is_sigmoid_of(gate, x):
            to.note(f"{x.name or 'x'} * sigmoid({x.name or 'x'}) is one silu")
            return to.op("silu", to[x])
    return None


def is_sigmoid_of(gate: Value, x: Value) -> bool:
    return gate.owner is not None and gate.owner.name == "sigmoid" and gate.owner.operands[0] is x
