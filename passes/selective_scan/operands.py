"""The operands of a selective scan in the one form that all lowerings share: rank 4, frames last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mctc.ir.build import Builder
from mctc.ir.ops.elementwise import Add, Clip, Mul, Scale, Unary
from mctc.ir.ops.reduce import ReduceSum
from mctc.ir.ops.scan import SelectiveScan
from mctc.ir.ops.shape import ONE, Reshape, Slice, Split, laid_out
from mctc.ir.program import Op, Value
from mctc.ir.types import Axis, Role, TensorType
from mctc.records import dataclass
from mctc.rewrite.rewriter import Rewriter


@dataclass(frozen=True)
class Scan:
    """x, delta [1, D, 1, T]; A [D, N]; B, C [1, N, 1, T]; D [D] or None; h as the form keeps it, None for zeros; mask
    [T] or [1, T], None for ones.

    steps: elementwise ops that are still to be done on delta. axis: that of the frames; where it is 1, x, delta, B
    and C have them first, [1, T, 1, D] and [1, T, 1, N], which only the form channels_last takes. A form appends ops to
    `rewriter` and returns H(t) . C(t) + D x(t) in the layout of x and the state after the last frame as h.
    """

    rewriter: Builder
    x: Value
    delta: Value
    A: Value
    B: Value
    C: Value
    D: Value | None
    h: Value | None
    mask: Value | None
    time: str  # the role of the axis of frames
    steps: tuple[Op, ...] = ()
    axis: int = 3

    @property
    def frames(self) -> int:
        return self.x.type.shape[self.axis]

    @property
    def channels(self) -> int:
        return self.x.type.shape[4 - self.axis]

    @property
    def states(self) -> int:
        return self.A.type.shape[1]

    @property
    def rates(self) -> Value:
        """A as [1, D, N, 1]."""
        axes = (("unit", 1), ("channel", self.channels), ("feature", self.states), ("unit", 1))
        return self.rewriter.op(Reshape, self.A, axes=axes)

    def by_state(self, value: Value) -> Value:
        """B or C as [1, 1, N, T]."""
        axes = (("unit", 1), ("unit", 1), ("feature", self.states), (self.time, self.frames))
        return self.rewriter.op(Reshape, value, axes=axes)

    def size(self, delta: Value) -> Value:
        """The step sizes of delta, on whose axes the mask is given. A masked frame gets zero: it keeps the state."""
        b = self.rewriter
        for op in self.steps:
            delta = b.op(type(op), delta, **op.attributes)
        if self.mask is None:
            return delta
        axes = (axis if axis.role.value == self.time else Axis(Role.UNIT, ONE) for axis in delta.type.axes)
        return b.op(Mul, delta, b.reshaped(self.mask, delta.type.with_axes(axes)))

    def cut(self, chunk: int) -> list[Scan]:
        """The scan in pieces of `chunk` frames, the last one of what is left; each but the first needs its h."""
        sizes = tuple(min(chunk, self.frames - start) for start in range(0, self.frames, chunk))
        if len(sizes) == 1:
            return [self]
        cut = [self.rewriter.emit(Split, v, sizes=sizes, axis=self.axis) for v in (self.x, self.delta, self.B, self.C)]
        masks = (
            [None] * len(sizes)
            if self.mask is None
            else self.rewriter.emit(Split, self.mask, sizes=sizes, axis=self.mask.type.rank - 1)
        )
        return [replace(self, x=x, delta=d, B=b, C=c, mask=mask) for x, d, b, c, mask in zip(*cut, masks)]

    def readout(self, history: Value) -> tuple[Value, Value]:
        """Output and last state from the states after every frame, [1, D, N, T]."""
        b = self.rewriter
        y = b.op(ReduceSum, b.op(Mul, history, self.by_state(self.C)), axis=2)
        return self.skipped(y), b.op(Slice, history, axis=3, begin=self.frames - 1)

    def skipped(self, y: Value) -> Value:
        """y + D x."""
        if self.D is None:
            return y
        b, axes = self.rewriter, (("unit", 1), ("channel", self.channels), ("unit", 1), ("unit", 1))
        return b.op(Add, y, b.op(Mul, self.x, b.op(Reshape, self.D, axes=axes)))


def gather(op: SelectiveScan, to: Rewriter, h: Value | None) -> Scan:
    """The operands of an old selective_scan op."""
    delta, steps = op.delta, list[Op]()
    while isinstance(delta.owner, (Unary, Scale, Clip)) and to.only_use(delta) is (steps[-1] if steps else op):
        steps.append(delta.owner)
        delta = delta.owner.x
    axis = op.x.type.sequence
    assert axis is not None
    return Scan(
        to, to[op.x], to[delta], to[op.A], to[op.B], to[op.C], to.maybe(op.D), h, to.maybe(op.mask),
        op.x.type.axes[axis].role.value, tuple(reversed(steps)), axis,
    )  # fmt: skip


def features_as_rows(state: Value, to: Builder) -> Value:
    """A state [1, D, 1, N] as [1, D, N, 1]."""
    _, channels, _, states = state.type.shape
    axes = (("batch", 1), ("channel", channels), ("feature", states), ("unit", 1))
    return to.op(Reshape, state, axes=axes)


def features_last(state: Value, to: Builder, type_: TensorType) -> Value:
    """A state [1, D, N, 1] in the type that its op declares."""
    return to.reshaped(state, type_)


@dataclass(frozen=True)
class Form:
    """A static form of the scan: `lower` appends its ops. `read` and `written` take a state from the shape that the op
    declares into the one that the form keeps it in, and back."""

    lower: Callable[[Scan], tuple[Value, Value]]
    read: Callable[[Value, Builder], Value] = features_as_rows
    written: Callable[[Value, Builder, TensorType], Value] = features_last


def frames_first(x: TensorType) -> bool:
    """Whether it is (batch, frames, unit, channel)."""
    return x.rank == 4 and x.sequence == 1 and x.roles[2] is Role.UNIT and x.roles[3].is_channel


def reason_against(x: TensorType) -> str | None:
    """Why a scan over x can't become static ops; None for (batch 1, channel, unit, frames), or the same with frames
    first."""
    if x.rank != 4 or not ((laid_out(x) and x.sequence == 3) or frames_first(x)):
        return f"{x} is not (batch, channel, unit, frames)"
    if not x.is_static:
        return f"the extents of {x} are not known"
    return None if x.shape[0] == x.shape[2] == 1 else f"{x} is more than one sequence"
