"""A recurrence of the author's own: states of the frame before, and what closes the loop over them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mctc.ir.dims import Extent
from mctc.ir.example import Example, X
from mctc.ir.fields import REQUIRED, Attribute, count, optional_operand, text, variadic_operand
from mctc.ir.op import FLOATS, Array, InferenceError, Op, declare
from mctc.ir.ops.shape import laid_out, stated, stated_axes
from mctc.ir.time import POINTWISE, Recurrent, TimeBehaviour
from mctc.ir.types import Axis, DType, Role, TensorType
from mctc.ir.value import Value

LOOP = "%0 = scan_state(axes = [batch B, time T, channel 8], state = h)\n%1 = maximum(%x, %0)\n%2, %3 = scan(%0, %1)"


def held_type(frames: TensorType) -> TensorType:
    """The type of one frame, as a state is kept: without the sequence axis (a unit axis in a laid-out type)."""
    at = frames.sequence
    if at is None:
        raise InferenceError(f"a state runs along time or labels, and {frames} has neither")
    if laid_out(frames):
        return frames.with_axis(at, Axis(Role.UNIT, Extent.of(1)))
    return frames.with_axes(axis for index, axis in enumerate(frames.axes) if index != at)


class Looped(Op):
    """Base of the ops of a loop, which is computed frame by frame as a whole (mctc.ir.loops)."""

    takes = FLOATS

    def reference(self, *operands: Array) -> Sequence[Array]:
        raise InferenceError(f"{self.name} has no value without its loop")


@declare
class ScanState(Looped):
    """A state of a recurrence as it is before each frame: `start`, or zeros, before the first; then what `scan` closes
    it with.

    `axes` are those of the sequence of states, a tuple of (role, extent), and `state` is the state's name. What is
    computed from it is computed frame by frame, up to the `scan` that takes it, and leaves through that alone.
    """

    name = "scan_state"
    example = Example({"x": X}, (LOOP,))
    effects = True  # two states that look alike are two
    start = optional_operand()
    axes = Attribute(stated, REQUIRED)
    state = text()

    def infer(self) -> Sequence[TensorType]:
        type_ = TensorType(DType.F32, stated_axes(self.axes))
        held = held_type(type_)
        if self.start is not None and self.start.type != held:
            raise InferenceError(f"start must be {held}, not {self.start.type}", "start")
        return (type_,)


@declare
class Scan(Looped):
    """Closes a recurrence: what each state is behind a frame is what it is before the next one.

    Operands: as many results of `scan_state` as `states` says, the values that follow them, and any others that are
    computed from them and needed outside. Results: the values that follow and the others, of all frames, then each
    state behind the last frame.
    """

    name = "scan"
    example = Example({"x": X}, (LOOP,))
    values = variadic_operand()
    states = count(1)

    def infer(self) -> Sequence[TensorType]:
        before, after, others = self.parts
        if len(after) != len(before):
            raise InferenceError(f"scan takes {self.states} states and the {self.states} values that follow them")
        for old, new in zip(before, after):
            if old.type != new.type:
                raise InferenceError(f"the state is {old.type}, what follows it is {new.type}")
        frames = [value.type for value in (*after, *others)]
        return (*frames, *(held_type(value.type) for value in before))

    @property
    def parts(self) -> tuple[tuple[Value, ...], tuple[Value, ...], tuple[Value, ...]]:
        """The states before each frame, those behind it, and the others."""
        n = self.states
        return self.values[:n], self.values[n : 2 * n], self.values[2 * n :]

    def padded(self, read: Collection[int] | None = None, *, whole: bool = True) -> Value | None:
        """A state, where what is left behind the last frame is read: padding would move it."""
        frames = len(self.results) - self.states
        return self.values[0] if read is None or any(index >= frames for index in read) else None

    def behaviour(self) -> TimeBehaviour:
        return Recurrent((), "") if self.values else POINTWISE
