"""What of a scan goes together: inner channels and states, and the heads of a scan with one decay a head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.scan import SelectiveScan
from mctc.ir.ops.ssd import Sizes, Ssd

if TYPE_CHECKING:
    from mctc.ir.op import Array, Op
    from mctc.ir.program import Value
    from mctc.rewrite.axis_groups import Groups


def selective_scan(op: Op, groups: Groups) -> bool:
    """Inner channels along x, delta, A, D and y; states along A, B and C."""
    assert isinstance(op, SelectiveScan)
    at = channel_axis(op.x.type)
    if op.h is not None:
        return False
    inner, states = groups.nodes(op.A, 0), groups.nodes(op.A, 1)
    y, last = op.results
    for value in (op.x, op.delta, y):
        groups.join(groups.nodes(value, at), inner)
    if op.D is not None:
        groups.join(groups.nodes(op.D, 0), inner)
    for value in (op.B, op.C):
        groups.join(groups.nodes(value, channel_axis(value.type)), states)
    groups.join(groups.nodes(last, channel_axis(last.type)), inner)
    groups.join(groups.nodes(last, last.type.rank - 1), states)
    return True


def by_groups(op: Ssd, groups: Groups) -> bool:
    """Whether whole groups go: each head is one, or a rule says so."""
    path, heads = op.origin.path, Sizes.of(op).heads
    return op.groups > 1 and (groups.named(f"{path}.groups") or (heads == op.groups and groups.named(f"{path}.heads")))


def head_axis(op: Ssd) -> int:
    """Where heads lie in A: one rate of each, or one decay a frame."""
    return 0 if op.A.type.rank == 1 else channel_axis(op.A.type)


def ssd(op: Op, groups: Groups) -> bool:
    """Heads with all channels of theirs along x, delta, A, D and y; states along B and C, the same of all groups.

    Groups have as many heads each, so a head goes with its like of the other groups; or whole groups go, with their
    B and C, and then all states stay.
    """
    assert isinstance(op, Ssd)
    if op.h is not None:
        return False
    n, last = Sizes.of(op), op.results[1]
    heads, states = groups.known(op.A, head_axis(op)), groups.known(last, last.type.rank - 1)
    each, whole = n.heads // n.groups, by_groups(op, groups)
    units = np.repeat(heads[::each], each) if whole else np.tile(heads[:each], n.groups)
    groups.join(heads, units)
    for value, entries in ((op.x, n.width), (op.delta, 1), (op.diagonal, 1), (op.results[0], n.width)):
        _spread(value, np.repeat(heads, entries), groups)
    _spread(last, np.repeat(heads, n.width), groups)
    if op.D is not None:
        groups.join(groups.nodes(op.D, 0), heads)
    for value in (op.B, op.C):
        _spread(value, np.repeat(heads[::each], n.states) if whole else np.tile(states, n.groups), groups)
    if whole:
        groups.keep(op, last, last.type.rank - 1)
    return True


def _spread(value: Value | None, entries: Array, groups: Groups) -> None:
    """The channels of a value: these entries, of several writes or reads one behind the other."""
    if value is None:
        return
    channels = groups.known(value, channel_axis(value.type))
    groups.join(channels, np.tile(entries, len(channels) // len(entries)))
