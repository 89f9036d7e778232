"""New states of equal shape, made by equal sums and products, are made at once for all of them joined."""

from __future__ import annotations

from collections.abc import Sequence

from mctc.hardware.cost import Shaped, totals
from mctc.ir.ops.elementwise import Binary
from mctc.ir.ops.shape import Concat, Reshape, Split
from mctc.ir.program import Value
from mctc.rewrite.rewriter import Rewriter

ROWS = 2  # the axis along which states [1, 1, R, W] are joined
LEAST = 2
"""Ops that each state is made by. To join both operands of a single one takes more bytes than its results."""


def joined(updates: Sequence[Value], to: Rewriter) -> Value | None:
    """Old values [1, 1, R, W] one below the other, where it takes less under the slowest reading of the cost model to
    join what they are made of and to make them once; None where it doesn't.

    Joined are operands of sums and products that nothing else reads. All parts of a split along these rows are what was
    split: the states as they were read.
    """
    own = [each for value in updates for each in _inside(value, to)]
    if len(own) < LEAST * len(updates):
        return None
    apart = [*own, Shaped("concat", tuple([value.type.shape for value in updates]), (), (_whole(updates),))]
    return _made(updates, to) if _slowest(_counted(updates, to)) < _slowest(apart) else None


def bare(value: Value) -> Value:
    """The value before reshapes that only change roles."""
    while isinstance(value.owner, Reshape) and value.owner.x.type.shape == value.type.shape:
        value = value.owner.x
    return value


def _made(values: Sequence[Value], to: Rewriter) -> Value:
    if pairs := _operands(values, to):
        return to.op(type(_owner(values[0])), *(_made(side, to) for side in pairs))
    if (whole := _source(values, to)) is None:
        return to.op(Concat, *(to[value] for value in values), axis=ROWS)
    return to.reshaped(whole, to[values[0]].type.with_extent(ROWS, whole.type.shape[ROWS]))


def _counted(values: Sequence[Value], to: Rewriter) -> list[Shaped]:
    """The ops that `_made` makes."""
    shape = _whole(values)
    if pairs := _operands(values, to):
        made = [each for side in pairs for each in _counted(side, to)]
        return [*made, Shaped(_owner(values[0]).name, (shape, shape), (), (shape,))]
    if _source(values, to):
        return []
    return [Shaped("concat", tuple([value.type.shape for value in values]), (), (shape,))]


def _inside(value: Value, to: Rewriter) -> list[Shaped]:
    """The ops of one value that would be done once for all: its own, and those of its operands."""
    pairs = _operands([value], to)
    shape = value.type.shape
    own = [Shaped(_owner(value).name, (shape, shape), (), (shape,))] if pairs else []
    return own + [each for (side,) in pairs for each in _inside(side, to)]


def _operands(values: Sequence[Value], to: Rewriter) -> tuple[list[Value], list[Value]] | tuple[()]:
    """Both operands of each, where all are the same sum or product of whole tensors that nothing else reads."""
    owners = [value.owner for value in values]
    pairs = [(op.left, op.right) for op in owners if isinstance(op, Binary) and type(op) is type(owners[0])]
    if len(pairs) < len(values):
        return ()
    shape = values[0].type.shape
    alone = all(len(to.uses.get(value, ())) + (value in to.kept) == 1 for value in values)
    whole = all(value.type.shape == shape for pair in [*pairs, values] for value in pair)
    return ([left for left, _ in pairs], [right for _, right in pairs]) if alone and whole else ()


def _source(values: Sequence[Value], to: Rewriter) -> Value | None:
    """What the values are all parts of, in their order."""
    parts = [bare(to[value]) for value in values]
    op = parts[0].owner
    return op.x if isinstance(op, Split) and op.position == ROWS and tuple(parts) == op.results else None


def _owner(value: Value) -> Binary:
    assert isinstance(value.owner, Binary)
    return value.owner


def _whole(values: Sequence[Value]) -> tuple[int, ...]:
    _, _, rows, width = values[0].type.shape
    return (1, 1, rows * len(values), width)


def _slowest(ops: Sequence[Shaped]) -> float:
    return max(totals(ops))
