"""Ops that move data, where torch and MLX differ in more than a word."""

from __future__ import annotations

from itertools import accumulate

from mctc.emit.rules import Rules
from mctc.ir.ops.shape import Split
from mctc.targets.torch.expressions.application import Application
from mctc.targets.torch.expressions.text import Expression

RULES = Rules[Application, Expression]()


@RULES.of(Split)
def _split(op: Split, use: Application) -> Expression:
    """MLX cuts at indices where torch takes sizes."""
    if len(op.results) == 1:
        return use["x"]
    parts = list(accumulate(op.sizes))[:-1] if op.sizes else op.parts
    return Expression.method(use["x"], "split", parts, axis=op.position)
