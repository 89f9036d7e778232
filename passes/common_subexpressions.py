"""Equal ops on equal operands are computed once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from mctc.ir.ops.leaf import ParameterOp
from mctc.ir.program import Op, Program, Value
from mctc.ir.recipes import attribute_key
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.rewriter import Rewriter, rewrite


class CommonSubexpressions(Pass):
    """Computes equal ops on equal operands once."""

    name = "common-subexpressions"
    promise = Exact()
    after = ("fold-constants",)

    def run(self, program: Program, context: Context) -> Program:
        seen: dict[Hashable, Op] = {}

        def rule(op: Op, rewriter: Rewriter) -> Sequence[Value] | None:
            if op.effects or isinstance(op, ParameterOp):
                return None
            key = (rewriter.function.name, *_key(op, rewriter))
            first = seen.setdefault(key, op)
            if first is op:
                return None
            rewriter.note(f"{op.name} is computed once, in {first.origin.path or rewriter.function.name}")
            return [rewriter[result] for result in first.results]

        return rewrite(program, self.name, rule)


class DeployCommonSubexpressions(CommonSubexpressions):
    """Computes equal ops once again, after the deploy passes' own rewriting."""

    name = "deploy-common-subexpressions"
    stage = "deploy"
    after = ("fold-deploy-constants",)


def _key(op: Op, rewriter: Rewriter) -> tuple[Hashable, ...]:
    """Equal for ops that give equal results. New values: those of ops already merged are the same objects."""
    operands = tuple([None if value is None else id(value) for value in rewriter.operands(op)])
    return op.name, operands, tuple([(name, attribute_key(value)) for name, value in op.attributes.items()])
