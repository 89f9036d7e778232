"""Heads of attention: all entries of a head of keys go together, with the query heads that read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mctc.ir.ops.attention import Attention, OverKeys
from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.relative_attention import RelativeAttention

if TYPE_CHECKING:
    from mctc.ir.op import Array, Op
    from mctc.ir.program import Value
    from mctc.rewrite.axis_groups import Groups


def attention(op: Op, groups: Groups) -> bool:
    """A key head, its value head and its query heads are one group: their entries of q, k, v and the result, their
    rows of what is learnt for each head. Half of a head's entries would be another scale of its scores."""
    assert isinstance(op, OverKeys)
    keys = groups.nodes(op.k, channel_axis(op.k.type))
    if keys is None:
        return False
    heads = keys[:: len(keys) // op.key_heads]
    for value in (op.q, op.k, op.v, op.result):
        _by_head(groups.nodes(value, channel_axis(value.type)), heads, groups)
    if isinstance(op, Attention) and op.bias is not None:
        _learnt(op.bias, heads, op, groups)
    if isinstance(op, RelativeAttention):
        for value in (op.position, op.content_bias, op.position_bias):
            _learnt(value, heads, op, groups)
        if op.table is not None:
            groups.keep(op, op.table)
    return True


def _learnt(value: Value, heads: Array, op: OverKeys, groups: Groups) -> None:
    """Heads along the first axis, unless one serves all; what lies along others stays."""
    if value.type.extents[0].value != 1 or op.heads == 1:
        _by_head(groups.nodes(value, 0), heads, groups)
    for axis in range(1, value.type.rank):
        groups.keep(op, value, axis)


def _by_head(entries: Array | None, heads: Array, groups: Groups) -> None:
    if entries is not None:
        groups.join(entries, np.repeat(heads, len(entries) // len(heads)))
