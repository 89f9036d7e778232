"""What a `prune` section can name."""

from __future__ import annotations

import numpy as np

from mctc.ir.op import Array, Op
from mctc.ir.ops.attention import Attention
from mctc.ir.ops.convolution import Conv1d, Conv2d
from mctc.ir.ops.linear import Embedding, Linear, channel_axis
from mctc.ir.ops.recurrent import Gru, Lstm
from mctc.ir.ops.relative_attention import RelativeAttention
from mctc.ir.ops.scan import SelectiveScan
from mctc.ir.ops.ssd import Sizes, Ssd
from mctc.ir.program import Program, Value
from mctc.records import dataclass
from mctc.rewrite.axis_groups import Groups
from mctc.rewrite.convolution_groups import apart
from mctc.rewrite.scan_groups import head_axis


@dataclass(frozen=True)
class Dimension:
    """What can be cut: a name such as 'encoder.layers.0.mamba.state', the op, and the axis of one of its values.

    each: entries of the axis, one behind the other, that are one of the dimension's."""

    name: str
    op: Op
    value: Value
    axis: int
    each: int = 1

    def groups(self, groups: Groups) -> Array:
        """The group of every entry. Where an axis is several runs of the same groups, which then go from each of them,
        these are the entries of one."""
        entries = groups.of(self.value, self.axis)[:: self.each]
        run = int(np.flatnonzero(entries[1:] == entries[0])[0]) + 1 if (entries[1:] == entries[0]).any() else 0
        if run and len(entries) % run == 0 and np.array_equal(entries, np.tile(entries[:run], len(entries) // run)):
            return entries[:run]
        return entries


def dimensions(program: Program) -> list[Dimension]:
    """What can be cut, if its groups allow: `state` and `inner` of a scan, `state` and `heads` of one with a decay a
    head, `cells` of a recurrent layer, `heads` of attention (of its keys), `channels` of a linear layer, a convolution
    or a table, `groups` of what has several, each behind the path of its instance."""
    return [each for _, op in program.ops() for each in _of(op, op.origin.path)]


def _of(op: Op, path: str) -> list[Dimension]:
    if isinstance(op, SelectiveScan):
        return [Dimension(f"{path}.state", op, op.A, 1), Dimension(f"{path}.inner", op, op.A, 0)]
    if isinstance(op, Ssd):
        return _ssd(op, path)
    if isinstance(op, (Lstm, Gru)):
        return [Dimension(f"{path}.cells", op, op.weight_hh, 1)]
    if isinstance(op, (Conv1d, Conv2d)) and op.groups > 1:
        return _in_groups(op, path)
    if isinstance(op, (Linear, Conv1d, Conv2d)):
        return [Dimension(f"{path}.channels", op, op.weight, 0)]
    if isinstance(op, Embedding):
        return [Dimension(f"{path}.channels", op, op.table, 1)]
    if isinstance(op, (Attention, RelativeAttention)):
        at = channel_axis(op.k.type)
        return [Dimension(f"{path}.heads", op, op.k, at, op.k.type.extents[at].value // op.key_heads)]
    return []


def _ssd(op: Ssd, path: str) -> list[Dimension]:
    n, last, at = Sizes.of(op), op.results[1], head_axis(op)
    found = [Dimension(f"{path}.state", op, last, last.type.rank - 1)]
    found.append(Dimension(f"{path}.heads", op, op.A, at))
    if n.groups > 1:
        found.append(Dimension(f"{path}.groups", op, op.A, at, n.heads // n.groups))
    return found


def _in_groups(op: Conv1d | Conv2d, path: str) -> list[Dimension]:
    each = op.weight.type.extents[0].value // op.groups
    if apart(op):
        return [Dimension(f"{path}.channels", op, op.weight, 0, each)]
    return [
        Dimension(f"{path}.channels", op, op.weight, 0),
        Dimension(f"{path}.groups", op, op.weight, 0, each),
    ]
