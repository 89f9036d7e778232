"""Ops whose results nobody reads are removed."""

from __future__ import annotations

from dataclasses import replace

from mctc.ir.program import Program
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.rewriter import drop_dead


class DeadCode(Pass):
    """Removes ops whose results nobody reads, and parameters that no op names."""

    name = "dead-code"
    promise = Exact()
    after = ("common-subexpressions",)

    def run(self, program: Program, context: Context) -> Program:
        functions = {name: replace(function) for name, function in program.functions.items()}
        return drop_dead(replace(program, functions=functions, parameters=dict(program.parameters)))


class DeployDeadCode(DeadCode):
    """Removes dead code again, after the deploy passes' own rewriting."""

    name = "deploy-dead-code"
    stage = "deploy"
    after = ("deploy-common-subexpressions",)
