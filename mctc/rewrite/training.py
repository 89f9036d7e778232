"""The program that ships: without the ops that act in training alone."""

from __future__ import annotations

from collections.abc import Sequence

from mctc.ir.program import Op, Program, Value
from mctc.rewrite.rewriter import Rewriter, rewrite


def acts_in_training(program: Program) -> bool:
    """Whether an op of the program acts in training alone."""
    return any(op.outside_training for _, op in program.ops())


def without_training(program: Program) -> Program:
    """The program in which each op that acts in training alone is the operand that it gives everywhere else.

    The program itself where it has none. What is left is what a spec without these ops gives, names and places alike.
    """

    def rule(op: Op, rewriter: Rewriter) -> Sequence[Value] | None:
        kept = op.outside_training
        value = rewriter.named(op, kept) if kept else None
        return None if value is None else [value]

    return rewrite(program, "without-training", rule) if acts_in_training(program) else program
