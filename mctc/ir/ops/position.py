"""Positions of frames as rows of a table."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from mctc.ir.example import Example, X
from mctc.ir.fields import flag, operand
from mctc.ir.op import Array, InferenceError, Op, declare
from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.shape import ONE, laid_out
from mctc.ir.time import TimeBehaviour, Whole
from mctc.ir.types import Axis, Role, TensorType
from mctc.ir.value import Value


@declare
class PositionalEmbedding(Op):
    """y[t] = table[t] for every frame t of x; table [positions, width], with at least as many rows as x has frames.

    With `cyclic` the rows start again behind the last one: y[t] = table[t mod positions].
    No entry of x is read, only how many frames there are; y is the same for every utterance of a batch. Add it to x.
    """

    name = "positional_embedding"
    example = Example({"x": X, "table": "f32[100, 8]"}, ("positional_embedding(%x, %table)",))
    x = operand()
    table = operand()
    cyclic = flag()

    def infer(self) -> Sequence[TensorType]:
        x, table = self.x.type, self.table.type
        if x.sequence is None:
            raise InferenceError(f"{x} has no time or label axis to count", "x")
        if table.rank != 2:
            raise InferenceError(f"the table must be [positions, width], not {table}", "table")
        frames, (rows, width) = x.extents[x.sequence], table.extents
        if frames.is_static and rows.is_static and frames.value > rows.value and not self.cyclic:
            raise InferenceError(f"x has {frames} frames, but the table has {rows} rows", "table")
        axes = {x.sequence: x.axes[x.sequence], channel_axis(self.x.type): Axis(Role.CHANNEL, width)}
        if laid_out(x):
            return (TensorType(table.dtype, tuple(axes.get(i, Axis(Role.UNIT, ONE)) for i in range(x.rank))),)
        return (TensorType(table.dtype, tuple(axes[i] for i in sorted(axes))),)

    def reference(self, x: Array, table: Array) -> Sequence[Array]:
        sequence, channel = self.x.type.sequence, channel_axis(self.x.type)
        assert sequence is not None
        frames = np.shape(x)[sequence]
        if self.cyclic:
            table = np.take(table, np.arange(frames) % len(table), axis=0)
        if frames > len(table):
            raise InferenceError(f"x has {frames} frames, but the table has {len(table)} rows", "table")
        rows = table[:frames] if sequence < channel else table[:frames].T
        if not laid_out(self.x.type):
            return (rows,)
        return (np.expand_dims(rows, tuple(i for i in range(self.x.type.rank) if i not in (sequence, channel))),)

    def padded(self, read: Collection[int] | None = None, *, whole: bool = True) -> Value | None:
        """None: padding stands behind every frame that is counted."""
        return None

    def behaviour(self) -> TimeBehaviour:
        if not self.cyclic:
            return Whole("it counts frames from the first one, and a table ends where a stream goes on", ("x",))
        rows = self.table.type.extents[0]
        reason = f"it counts frames from the first one, and begins anew after {rows}; give calls a multiple of them"
        return Whole(reason, ("x",), block=rows.value if rows.is_static else None)
