"""Channels of convolutions, of one group or several.

Of G groups each has as many channels, so what goes is as much of each group, or whole groups where a rule says so
(`groups`). A group of one channel is that channel: its kernels go with it, as in a depthwise convolution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mctc.ir.ops.convolution import Conv1d, Conv2d
from mctc.ir.ops.linear import Linear, channel_axis
from mctc.ir.types import Role

if TYPE_CHECKING:
    from mctc.ir.op import Array, Op
    from mctc.ir.program import Value
    from mctc.rewrite.axis_groups import Groups

Convolution = Conv1d | Conv2d


def apart(op: Convolution) -> bool:
    """Whether each channel of the input has kernels of its own."""
    return op.groups > 1 and op.weight.type.extents[1].value == 1


def by_groups(op: Convolution, groups: Groups) -> bool:
    """Whether whole groups go."""
    return apart(op) or (op.groups > 1 and groups.named(f"{op.origin.path}.groups"))


def convolution(op: Op, groups: Groups) -> bool:
    """What lies along its features stays."""
    assert isinstance(op, (Conv1d, Conv2d))
    at, many = channel_axis(op.x.type), op.groups
    into, rows, columns = groups.known(op.x, at), groups.known(op.weight, 0), groups.known(op.weight, 1)
    outputs(op, at, groups)
    if many > 1 and by_groups(op, groups):
        first = into[:: len(columns)]
        groups.join(into, np.repeat(first, len(columns)))
        groups.join(rows, np.repeat(first, len(rows) // many))
    else:
        groups.join(into, np.tile(columns, many))
        groups.join(rows, np.tile(rows[: len(rows) // many], many))
    for value in (op.x, op.result):
        features_stay(value, op, groups)
    return True


def outputs(op: Linear | Convolution, at: int, groups: Groups) -> None:
    """The channels of a layer's result, the rows of its weight, its bias."""
    rows: Array | None = groups.nodes(op.weight, 0)
    groups.join(groups.nodes(op.result, at), rows)
    if op.bias is not None:
        groups.join(groups.nodes(op.bias, 0), rows)


def features_stay(value: Value, op: Op, groups: Groups) -> None:
    """What an op mixes along the features."""
    if (features := value.type.find(Role.FEATURE)) is not None:
        groups.keep(op, value, features)
