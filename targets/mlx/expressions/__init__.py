"""Every op of the IR as a Python expression over mx.array."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mctc.driver.forms import rule_of
from mctc.emit.rules import Rules
from mctc.emit.unsupported import UnsupportedError
from mctc.ir.program import Op
from mctc.targets.mlx.expressions import channel, elementwise, leaf, sequence, shape
from mctc.targets.mlx.expressions.spelling import spelled
from mctc.targets.mlx.imports import IMPORTED
from mctc.targets.torch.expressions import RULES as TORCH
from mctc.targets.torch.expressions.application import Application
from mctc.targets.torch.expressions.text import Expression, as_expression

__all__ = ["RULES", "TORCH", "UnsupportedError", "expression"]

RULES = Rules[Application, Expression](elementwise.RULES | shape.RULES | channel.RULES | sequence.RULES | leaf.RULES)
NO_RULES: Mapping[str, Callable[[Application], Expression]] = {}  # a form is given the application alone


def expression(op: Op, operands: Sequence[Expression | str | None]) -> Expression:
    """What computes the op's result, or the tuple of its results if it has several.

    An op without a rule here is written as for torch, if that takes nothing but operators, indices and methods of
    tensors (spelling.py).

    `operands` are expressions, or names as text; None for an absent one. Raises UnsupportedError for what has no form.
    """
    given = tuple(None if each is None else spelled(as_expression(each)) for each in operands)
    use = Application(op, given)
    if op.name in RULES:
        return RULES[op.name](op, use)
    if op.name in TORCH:
        made = TORCH[op.name](op, use)
        if made.imports <= IMPORTED:
            return made
    form = rule_of(op, "mlx", NO_RULES, lambda made: isinstance(made, Expression))
    if form is None:
        raise UnsupportedError(f"the mlx target has no form of {op.name}")
    return form(use)
