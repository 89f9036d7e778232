"""Every op of the IR as a Python expression over torch tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mctc.driver.forms import rule_of
from mctc.emit.rules import Rules
from mctc.emit.unsupported import UnsupportedError
from mctc.ir.program import Op
from mctc.ir.time import Whole
from mctc.targets.torch.expressions import channel, elementwise, leaf, sequence, shape, training
from mctc.targets.torch.expressions.application import Application
from mctc.targets.torch.expressions.text import Binds, Expression, as_expression

__all__ = ["MASKING", "RULES", "Binds", "Expression", "UnsupportedError", "expression"]

MASKING = Rules[Application, Expression](channel.MASKING | sequence.MASKING | shape.MASKING)
"""The rules that can leave out frames that do not exist."""

RULES = Rules[Application, Expression](
    elementwise.RULES | shape.RULES | channel.RULES | leaf.RULES | training.RULES | MASKING
)

Text = Expression | str


def expression(
    op: Op,
    operands: Sequence[Text | None],
    valid: Text | None = None,
    held: Mapping[str, Expression] | None = None,
) -> Expression:
    """What computes the op's result, or the tuple of its results if it has several.

    `operands` are expressions, or names and other atoms as text; None for an absent one. `valid` names a tensor (B, S)
    of ones and zeros that marks which frames of `op.padded()` exist, in a batch of padded utterances. `held` are
    attributes, by name, that the module holds.
    Raises UnsupportedError for what has no torch form, and says what to write instead.
    """
    given = tuple(None if operand is None else as_expression(operand) for operand in operands)
    mask = None if valid is None or op.padded() is None else as_expression(valid)
    if mask is not None and op.name not in MASKING:
        raise UnsupportedError(
            f"{op.name} works on whole utterances, {op.time.reason if isinstance(op.time, Whole) else 'end to end'}: "
            "what a padded batch would give is undefined; run utterance by utterance"
        )
    use = Application(op, given, mask, held or {})
    if op.name in RULES:
        return RULES[op.name](op, use)
    form = rule_of(op, "torch", NO_RULES, lambda made: isinstance(made, Expression))
    if form is None:
        raise UnsupportedError(f"the torch target has no form of {op.name}; add one to its table of expressions")
    return form(use)


NO_RULES: Mapping[str, Callable[[Application], Expression]] = {}  # a form is given the application alone
