"""The operands of a selective scan in the one form that all lowerings share: rank 4, frames last."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mctc.ir.ops.elementwise import Mul
from mctc.ir.ops.reduce import ReduceSum
from mctc.ir.ops.scan import SelectiveScan
from mctc.ir.ops.shape import Reshape, Slice, Split, laid_out
from mctc.ir.program import Value
from mctc.ir.types import TensorType
from mctc.rewrite.rewriter import Rewriter


@dataclass(frozen=True)
class Scan:
    """delta, drive = delta * x [1, D, 1, T]; A [1, D, N, 1]; B, C [1, 1, N, T]; h [1, D, N, 1], None for zeros.

    A form appends ops to `rewriter` and returns H(t) . C(t) as [1, D, 1, T] and the state after the last frame as h.
    """

    rewriter: Rewriter
    delta: Value
    drive: Value
    A: Value
    B: Value
    C: Value
    h: Value | None
    time: str  # the role of the last axis of delta

    @property
    def frames(self) -> int:
        return self.delta.type.shape[3]

    @property
    def channels(self) -> int:
        return self.delta.type.shape[1]

    @property
    def states(self) -> int:
        return self.A.type.shape[2]

    def cut(self, chunk: int) -> list[Scan]:
        """The scan in pieces of `chunk` frames, the last one of what is left; each but the first needs its h."""
        sizes = tuple(min(chunk, self.frames - start) for start in range(0, self.frames, chunk))
        if len(sizes) == 1:
            return [self]
        streams = (self.rewriter.emit(Split, v, sizes=sizes, axis=3) for v in (self.delta, self.drive, self.B, self.C))
        return [replace(self, delta=d, drive=u, B=b, C=c) for d, u, b, c in zip(*streams)]

    def readout(self, history: Value) -> tuple[Value, Value]:
        """Output and last state from the states after every frame, [1, D, N, T]."""
        weighted = self.rewriter.op(Mul, history, self.C)
        y = self.rewriter.op(ReduceSum, weighted, axis=2)
        return y, self.rewriter.op(Slice, history, axis=3, begin=self.frames - 1)


def gather(op: SelectiveScan, to: Rewriter) -> Scan:
    """The operands of an old selective_scan op, reshaped. A masked frame gets a step of zero: it keeps the state."""
    x, delta, a, b, c = to[op.x], to[op.delta], to[op.A], to[op.B], to[op.C]
    if op.mask is not None:
        delta = to.op(Mul, delta, to[op.mask])
    role = x.type.axes[3].role.value
    channels, states, frames = x.type.shape[1], a.type.shape[1], x.type.shape[3]
    per_state = (("unit", 1), ("unit", 1), ("feature", states), (role, frames))
    return Scan(
        rewriter=to,
        delta=delta,
        drive=to.op(Mul, delta, x),
        A=to.op(Reshape, a, axes=(("unit", 1), ("channel", channels), ("feature", states), ("unit", 1))),
        B=to.op(Reshape, b, axes=per_state),
        C=to.op(Reshape, c, axes=per_state),
        h=None if op.h is None else to.op(Reshape, to[op.h], axes=state_axes(channels, states)),
        time=role,
    )


def state_axes(channels: int, states: int) -> tuple[tuple[str, int], ...]:
    """The axes of a state between the frames."""
    return (("batch", 1), ("channel", channels), ("feature", states), ("unit", 1))


def reason_against(x: TensorType) -> str | None:
    """Why a scan over x can't become static ops; None for one that is (batch 1, channel, unit, frames)."""
    if not laid_out(x) or x.rank != 4 or x.sequence != 3:
        return f"{x} is not (batch, channel, unit, frames)"
    if not x.is_static:
        return f"the extents of {x} are not known"
    return None if x.shape[0] == x.shape[2] == 1 else f"{x} is more than one sequence"
