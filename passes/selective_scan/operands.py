"""The operands of a selective scan in the one form that all lowerings share: rank 4, frames last."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mctc.ir.build import Builder
from mctc.ir.ops.shape import laid_out
from mctc.ir.program import Op, Value
from mctc.rewrite.rewriter import Rewriter


@dataclass(frozen=True)
class Scan:
    """delta, drive = delta * x [1, D, 1, T]; A [1, D, N, 1]; B, C [1, 1, N, T]; h [1, D, N, 1], None for zeros.

    A form appends ops to `builder` and returns H(t) . C(t) as [1, D, 1, T] and the state after the last frame as h.
    """

    builder: Builder
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
        streams = (self.builder.emit("split", v, sizes=sizes, axis=3) for v in (self.delta, self.drive, self.B, self.C))
        return [replace(self, delta=d, drive=u, B=b, C=c) for d, u, b, c in zip(*streams)]

    def readout(self, history: Value) -> tuple[Value, Value]:
        """Output and last state from the states after every frame, [1, D, N, T]."""
        weighted = self.builder.op("mul", history, self.C)
        y = self.builder.op("reduce_sum", weighted, axis=2)
        return y, self.builder.op("slice", history, axis=3, begin=self.frames - 1)


def gather(op: Op, rewriter: Rewriter) -> Scan:
    """The operands of an old selective_scan op, reshaped. A masked frame gets a step of zero: it keeps the state."""
    x, delta, a, b, c = (rewriter[v] for v in op.operands[:5] if v is not None)
    mask, h = rewriter.named(op, "mask"), rewriter.named(op, "h")
    if mask is not None:
        delta = rewriter.op("mul", delta, mask)
    role = x.type.axes[3].role.value
    channels, states, frames = x.type.shape[1], a.type.shape[1], x.type.shape[3]
    per_state = (("unit", 1), ("unit", 1), ("feature", states), (role, frames))
    return Scan(
        builder=rewriter,
        delta=delta,
        drive=rewriter.op("mul", delta, x),
        A=rewriter.op("reshape", a, axes=(("unit", 1), ("channel", channels), ("feature", states), ("unit", 1))),
        B=rewriter.op("reshape", b, axes=per_state),
        C=rewriter.op("reshape", c, axes=per_state),
        h=None if h is None else rewriter.op("reshape", h, axes=state_axes(channels, states)),
        time=role,
    )


def state_axes(channels: int, states: int) -> tuple[tuple[str, int], ...]:
    """The axes of a state between the frames."""
    return (("batch", 1), ("channel", channels), ("feature", states), ("unit", 1))


def lowerable(op: Op) -> bool:
    """Whether the scan is static, laid out as (batch 1, channel, unit, frames)."""
    x = op.operands[0]
    assert x is not None
    type_ = x.type
    return (
        laid_out(type_)
        and type_.rank == 4
        and type_.is_static
        and type_.shape[0] == type_.shape[2] == 1
        and type_.sequence == 3
    )
