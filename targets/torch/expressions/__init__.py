"""Every op of the IR as a Python expression over torch tensors."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from mctc.driver.forms import rule_of
from mctc.ir.ops.attention import OverKeys
from mctc.ir.ops.norm import BatchNorm, Softmaxes
from mctc.ir.program import Op, Value
from mctc.ir.time import Recurrent, Whole, Window
from mctc.targets.torch.expressions.application import Application, Rule, UnsupportedError
from mctc.targets.torch.expressions.channel import CHANNEL
from mctc.targets.torch.expressions.elementwise import ELEMENTWISE
from mctc.targets.torch.expressions.leaf import LEAF
from mctc.targets.torch.expressions.sequence import SEQUENCE
from mctc.targets.torch.expressions.shape import SHAPE
from mctc.targets.torch.expressions.text import Binds, Expression, as_expression
from mctc.targets.torch.expressions.training import TRAINING

__all__ = ["RULES", "Binds", "Expression", "UnsupportedError", "expression", "masked_operand", "needs_valid"]

RULES: dict[str, Rule] = {**ELEMENTWISE, **SHAPE, **CHANNEL, **SEQUENCE, **LEAF, **TRAINING}


# The ops whose rules can leave out frames that do not exist.
MASKING = frozenset({"attention", "batch_norm", "conv1d", "conv2d", "gru", "log_softmax", "lstm", "reverse"})
MASKING |= {"reduce_max", "reduce_mean", "reduce_min", "reduce_sum", "relative_attention", "selective_scan"}
MASKING |= {"softmax", "ssd"}

Text = Expression | str


def expression(
    op: Op,
    operands: Sequence[Text | None],
    valid: Text | None = None,
    held: Mapping[str, Expression] | None = None,
) -> Expression:
    """What computes the op's result, or the tuple of its results if it has several.

    `operands` are expressions, or names and other atoms as text; None for an absent one. `valid` names a tensor (B, S)
    of ones and zeros that marks which frames of `masked_operand(op)` exist, in a batch of padded utterances. `held` are
    attributes, by name, that the module holds.
    Raises UnsupportedError for what has no torch form, and says what to write instead.
    """
    rule = rule_of(op, "torch", RULES, lambda made: isinstance(made, Expression))
    if rule is None:
        raise UnsupportedError(f"the torch target has no form of {op.name}; add one to its table of expressions")
    given = tuple(None if operand is None else as_expression(operand) for operand in operands)
    mask = None if valid is None or masked_operand(op) is None else as_expression(valid)
    if mask is not None and op.name not in MASKING:
        raise UnsupportedError(
            f"{op.name} works on whole utterances, {op.time.reason if isinstance(op.time, Whole) else 'end to end'}: "
            "what a padded batch would give is undefined; run utterance by utterance"
        )
    return rule(Application(op, given, mask, held or {}))


def needs_valid(op: Op, read: Collection[int] | None = None) -> bool:
    """Whether padding at the end of an utterance changes frames of the op's results that are no padding.

    `read` are the results that anything reads, all if None: a recurrent op's frames see no padding after them, but its
    final state does.
    """
    return masked_operand(op, read) is not None


def masked_operand(op: Op, read: Collection[int] | None = None, *, whole: bool = True) -> Value | None:
    """The operand whose sequence `valid` must describe, or None where padding changes nothing.

    Convolution is causal up to its padding on the right; what it sees beyond the end is zeros for an utterance alone.
    `whole`: an utterance has whole strides, so that a window of so many frames begins and ends inside.
    """
    time = op.time if op.operands else None
    first = next((value for value in op.operands if value is not None), None)
    if isinstance(op, BatchNorm):  # statistics of a training step are over frames that exist
        return first if op.x.type.sequence is not None else None
    if op.name == "positional_embedding":  # padding stands behind every frame that is counted
        return None
    if isinstance(op, Softmaxes):
        return first if op.position == op.x.type.sequence else None
    if isinstance(time, Recurrent):
        finals = {result for _, result in time.states}
        return first if read is None or finals & set(read) else None
    if isinstance(op, OverKeys):
        query, key = op.q.type, op.k.type
        crosses = query.axes[query.sequence or 0].role is not key.axes[key.sequence or 0].role
        return op.k if crosses or op.right != 0 else None
    if isinstance(time, Window):
        return first if time.right > (time.stride - 1 if whole else 0) else None
    return first if isinstance(time, Whole) else None
