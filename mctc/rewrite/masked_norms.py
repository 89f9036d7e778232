"""The program that a pruned one is compared with: its norms take their statistics over the channels that stay.

A channel that is masked with zeros still counts in a mean and a variance; one that is gone does not. So zeros in the
parameters alone are another function than the pruned program, and no scale of a layer_norm's weights makes up for it
(epsilon, and a variance around another mean). A layer_norm and an rms_norm over channels of which some go become the
norm of a concatenation of those that stay, with zeros in the places of the others.
"""

from __future__ import annotations

import numpy as np

from mctc.ir.op import Array
from mctc.ir.ops.elementwise import Scale
from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.norm import LayerNorm, RmsNorm
from mctc.ir.ops.shape import Concat, Slice
from mctc.ir.program import Op, Program, Value
from mctc.rewrite.axis_groups import Groups
from mctc.rewrite.removed_groups import removed
from mctc.rewrite.rewriter import Rewriter, rewrite

Run = tuple[int, int]


def masked_norms(program: Program) -> Program:
    """Of a program with a `prune` section; any other is given back. Raises PruneError as the pass does."""
    if not program.prune.settings:
        return program
    groups = Groups(program)
    return rewrite(program, "masked-norms", _OverKept(groups, removed(program, groups)))


def recounted(program: Program) -> list[str]:
    """Norms whose statistics the `prune` section changes, by their paths: for them zeros alone are another function."""
    groups = Groups(program)
    gone = removed(program, groups)
    return [op.origin.path for _, op in program.ops() if _out(op, groups, gone) is not None]


def _out(op: Op, groups: Groups, gone: Array) -> Array | None:
    """Which channels of a norm that counts them go; None of any other op, and where none goes."""
    if not isinstance(op, (LayerNorm, RmsNorm)):
        return None
    out = np.isin(groups.of(op.x, channel_axis(op.x.type)), gone)
    return np.asarray(out) if out.any() else None


class _OverKept:
    def __init__(self, groups: Groups, gone: Array) -> None:
        self.groups, self.gone = groups, gone

    def __call__(self, op: Op, rewriter: Rewriter) -> tuple[Value, ...] | None:
        out = _out(op, self.groups, self.gone)
        if out is None:
            return None
        assert isinstance(op, (LayerNorm, RmsNorm))
        at, stay = channel_axis(op.x.type), runs(~out)
        x, *vectors = rewriter.operands(op)
        assert x is not None
        kept = [None if each is None else _joined(each, 0, stay, rewriter) for each in vectors]
        y = rewriter.emit(type(op), _joined(x, at, stay, rewriter), *kept, **op.attributes)[0]
        parts, begin = dict[Run, Value](), 0
        for run in stay:
            parts[run] = _part(y, at, (begin, begin + run[1] - run[0]), rewriter)
            begin += run[1] - run[0]
        for run in runs(out):
            parts[run] = rewriter.emit(Scale, _part(x, at, run, rewriter), factor=0.0)[0]
        return rewriter.emit(Concat, *(parts[run] for run in sorted(parts)), axis=at)


def runs(of: Array) -> list[Run]:
    """Where runs of true begin and end."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], of.astype(np.int8), [0]])))
    return [(int(begin), int(end)) for begin, end in zip(edges[::2], edges[1::2])]


def _joined(value: Value, axis: int, parts: list[Run], rewriter: Rewriter) -> Value:
    return rewriter.emit(Concat, *(_part(value, axis, run, rewriter) for run in parts), axis=axis)[0]


def _part(value: Value, axis: int, run: Run, rewriter: Rewriter) -> Value:
    return rewriter.emit(Slice, value, axis=axis, begin=run[0], end=run[1])[0]
