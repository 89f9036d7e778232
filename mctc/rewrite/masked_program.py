"""The program that a pruned one is compared with: its norms take their statistics over the channels that stay, its
scans write no state that goes.

A channel that is masked with zeros still counts in a mean and a variance; one that is gone does not. So zeros in the
parameters alone are another function than the pruned program, and no scale of a layer_norm's weights makes up for it
(epsilon, and a variance around another mean). A layer_norm and an rms_norm over channels of which some go become the
norm of a concatenation of those that stay, with zeros in the places of the others. Of a scan, B has zeros for states
that go: a function of masked rows, such as a sigmoid, need not be zero there.
"""

from __future__ import annotations

import numpy as np

from mctc.ir.op import Array
from mctc.ir.ops.elementwise import Scale
from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.norm import LayerNorm, RmsNorm
from mctc.ir.ops.scan import SelectiveScan
from mctc.ir.ops.shape import Concat, Slice
from mctc.ir.ops.ssd import Ssd
from mctc.ir.program import Op, Program, Value
from mctc.rewrite.axis_groups import Groups
from mctc.rewrite.removed_groups import removed
from mctc.rewrite.rewriter import Rewriter, rewrite
from mctc.rewrite.zeros import zeroed

Run = tuple[int, int]
SCANS = (SelectiveScan, Ssd)


def masked_program(program: Program) -> Program:
    """Of a program with a `prune` section; any other is given back. Raises PruneError as the pass does."""
    if not program.prune.settings:
        return program
    groups = Groups(program)
    return rewrite(program, "masked-program", _Masked(groups, removed(program, groups)))


def recounted(program: Program) -> list[str]:
    """Norms whose statistics the `prune` section changes, and scans that write states of which it zeros the rows, by
    their paths: for them zeros alone are another function."""
    groups = Groups(program)
    gone = removed(program, groups)
    return [
        op.origin.path
        for _, op in program.ops()
        if _out(op, groups, gone) is not None and not (isinstance(op, SCANS) and zeroed(op.B, channel_axis(op.B.type)))
    ]


def _out(op: Op, groups: Groups, gone: Array) -> Array | None:
    """Which channels go of a norm that counts them, or of the B of a scan; None of other ops, and where none goes."""
    if not isinstance(op, (LayerNorm, RmsNorm, *SCANS)):
        return None
    read = op.B if isinstance(op, SCANS) else op.x
    out = np.isin(groups.of(read, channel_axis(read.type)), gone)
    return np.asarray(out) if out.any() else None


class _Masked:
    def __init__(self, groups: Groups, gone: Array) -> None:
        self.groups, self.gone = groups, gone

    def __call__(self, op: Op, rewriter: Rewriter) -> tuple[Value, ...] | None:
        out = _out(op, self.groups, self.gone)
        if out is None:
            return None
        if isinstance(op, SCANS):
            return self._unwritten(op, out, rewriter)
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
        return (self._with_zeros(parts, x, at, out, rewriter),)

    def _unwritten(self, op: SelectiveScan | Ssd, out: Array, rewriter: Rewriter) -> tuple[Value, ...]:
        b, at = rewriter[op.B], channel_axis(op.B.type)
        parts = {run: _part(b, at, run, rewriter) for run in runs(~out)}
        masked = self._with_zeros(parts, b, at, out, rewriter)
        given = dict(zip((each.name for each in op.fields), rewriter.operands(op), strict=True)) | {"B": masked}
        operands = given.values()
        return rewriter.emit(type(op), *operands, **op.attributes)

    @staticmethod
    def _with_zeros(parts: dict[Run, Value], x: Value, at: int, out: Array, rewriter: Rewriter) -> Value:
        """Parts of a value that stay, with zeros where others were."""
        zeros = {run: rewriter.emit(Scale, _part(x, at, run, rewriter), factor=0.0)[0] for run in runs(out)}
        return rewriter.emit(Concat, *((parts | zeros)[run] for run in sorted(parts | zeros)), axis=at)[0]


def runs(of: Array) -> list[Run]:
    """Where runs of true begin and end."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], of.astype(np.int8), [0]])))
    return [(int(begin), int(end)) for begin, end in zip(edges[::2], edges[1::2])]


def _joined(value: Value, axis: int, parts: list[Run], rewriter: Rewriter) -> Value:
    return rewriter.emit(Concat, *(_part(value, axis, run, rewriter) for run in parts), axis=axis)[0]


def _part(value: Value, axis: int, run: Run, rewriter: Rewriter) -> Value:
    return rewriter.emit(Slice, value, axis=axis, begin=run[0], end=run[1])[0]
