"""Ops whose results nobody reads are removed."""

from __future__ import annotations

from dataclasses import replace

from mctc.ir.ops.loop import Scan
from mctc.ir.program import Program, Value
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.pattern import Pattern
from mctc.rewrite.rewriter import Rewriter, drop_dead, rewrite


def _without_unread(op: Scan, to: Rewriter) -> list[Value] | None:
    """A scan hands out what is read outside of it alone."""
    before, after, others = op.parts
    results = op.results[len(after) : len(after) + len(others)]
    read = [bool(to.uses.get(result)) or result in to.kept for result in results]
    if all(read):
        return None
    kept = [old for old, is_read in zip(others, read) if is_read]
    to.note("what nobody reads stays in the loop")
    made = to.emit(Scan, *(to[value] for value in (*before, *after, *kept)), states=op.states)
    given = iter(made[len(after) : len(after) + len(kept)])
    middle = [next(given) if is_read else to[old] for old, is_read in zip(others, read)]
    return [*made[: len(after)], *middle, *made[len(after) + len(kept) :]]


class DeadCode(Pass):
    """Removes ops whose results nobody reads, and parameters that no op names."""

    name = "dead-code"
    promise = Exact()
    after = ("common-subexpressions",)

    def run(self, program: Program, context: Context) -> Program:
        functions = {name: replace(function) for name, function in program.functions.items()}
        left = drop_dead(replace(program, functions=functions, parameters=dict(program.parameters)))
        return rewrite(left, self.name, Pattern(Scan, _without_unread), context=context)


class DeployDeadCode(DeadCode):
    """Removes dead code again, after the deploy passes' own rewriting."""

    name = "deploy-dead-code"
    stage = "deploy"
    after = ("deploy-common-subexpressions",)
