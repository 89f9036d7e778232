"""State that carries past frames from chunk to chunk: window context, delay lines, and the stream of valid frames."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from mctc.ir.build import Builder
from mctc.ir.dims import Extent
from mctc.ir.location import Origin
from mctc.ir.program import State, Value
from mctc.ir.types import Axis, DType, Role, TensorType

VALID = "valid"  # the name of the step's input that says which frames of a chunk exist


class Contexts:
    """Builds states into a step function under construction and collects them. No two have one name, and none has that
    of an input (`inputs`): where states are inputs too, both stand in one list."""

    def __init__(self, builder: Builder, role: Role, inputs: Iterable[str] = ()) -> None:
        self.builder, self.role = builder, role
        self.states: list[State] = []
        self._names: set[str] = {VALID, *inputs}
        self._delayed: dict[tuple[Value, int], Value] = {}

    def state_name(self, suffix: str) -> str:
        """A name after the op's instance path: 'encoder.layers.0.mamba.conv.context'."""
        name = base = ".".join(filter(None, [self.builder.origin.path, suffix]))
        count = 1
        while name in self._names:
            count += 1
            name = f"{base}_{count}"
        self._names.add(name)
        return name

    def recurrent(self, type_: TensorType, suffix: str) -> Value:
        """The incoming value of a state of `type_`; `close` gives it its update."""
        return Value(type_, self.state_name(suffix))

    def close(self, value: Value, update: Value) -> None:
        self.states.append(State(value.name, value, update))

    def buffer(self, x: Value, history: int, needed: int, suffix: str) -> Value:
        """The last `history` frames before chunk x, then x, cut to `needed` frames. A negative history skips frames."""
        axis = self.axis(x)
        frames, joined = x.type.extents[axis].value, x
        if history > 0:
            past = self.recurrent(x.type.with_extent(axis, history), suffix)
            joined = self.builder.op("concat", past, x, axis=axis)
            self.close(past, self.builder.op("slice", joined, axis=axis, begin=frames))
        begin = max(0, -history)
        if begin or frames + history - begin > needed:
            joined = self.builder.op("slice", joined, axis=axis, begin=begin, end=begin + needed)
        return joined

    def delay(self, x: Value, frames: int, of: str = "") -> Value:
        """x, `frames` frames later: a delay line. One line per value and delay; `of` names what is delayed."""
        if frames == 0:
            return x
        if (x, frames) not in self._delayed:
            chunk = x.type.extents[self.axis(x)].value
            self._delayed[x, frames] = self.buffer(x, frames, chunk, f"{of}.delay" if of else "delay")
        return self._delayed[x, frames]

    def axis(self, x: Value) -> int:
        axis = x.type.find(self.role)
        assert axis is not None, "only values with a streaming axis have context"
        return axis


class ValidFrames:
    """The stream of 1s and 0s that says which frames exist, at any rate and delay. Made only when something asks.

    frames: of the finest rate that an input has, a call: what the step's input has. A slower one takes the first of
    every few, a finer one has each several times.

    Frames before the utterance are 0 because states start at zero; those after it because the caller feeds 0.
    They belong to the component itself, at `origin`, whichever op asks first.
    """

    def __init__(self, contexts: Contexts, frames: int, role: Role, origin: Origin) -> None:
        self.contexts, self.frames, self.role, self.origin = contexts, frames, role, origin
        self.input: Value | None = None
        self._at_rate: dict[int, Value] = {}

    def at(self, frames: int, delay: int) -> Value:
        """[frames] values, `delay` frames late, for a value that has `frames` frames a chunk."""
        builder = self.contexts.builder
        asked, builder.origin = builder.origin, self.origin
        if self.input is None:
            self.input = Value(TensorType(DType.F32, (Axis(self.role, Extent.of(self.frames)),)), VALID)
        if frames not in self._at_rate:
            self._at_rate[frames] = self._resampled(self.input, Fraction(frames, self.frames))
        late = self.contexts.delay(self._at_rate[frames], delay, VALID)
        late.name = VALID
        builder.origin = asked
        return late

    def _resampled(self, valid: Value, rate: Fraction) -> Value:
        """`rate` frames for each frame of `valid`."""
        op, times = self.contexts.builder.op, rate.numerator
        slow = valid if rate.denominator == 1 else op("slice", valid, axis=0, stride=rate.denominator)
        if times == 1:
            return slow
        time, frames = self.role.value, slow.type.extents[0]
        column = op("reshape", slow, axes=((time, frames), (Role.CHANNEL.value, 1)))
        return op("reshape", op("concat", *[column] * times, axis=1), axes=((time, frames * times),))
