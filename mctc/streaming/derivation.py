"""One function becomes its step, op by op: contexts, delays and states by what each op says of time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from math import lcm
from typing import TypeVar

from mctc.diagnostics.diagnostic import DiagnosticError, LocatedError
from mctc.ir.attribute_value import Attributes, AttributeValue
from mctc.ir.build import Builder, make
from mctc.ir.dims import Extent, ExtentError
from mctc.ir.domain import MASK
from mctc.ir.loops import Loop, in_order
from mctc.ir.masks import mask_domains
from mctc.ir.op import InferenceError
from mctc.ir.ops.attention import ABSENT
from mctc.ir.ops.leaf import ParameterOp
from mctc.ir.program import Function, Op, Program, State, Value, name_like
from mctc.ir.time import POINTWISE, Recurrent, Spread, TimeBehaviour, Whole, Window
from mctc.ir.types import Role, TensorType
from mctc.records import dataclass
from mctc.streaming.context import VALID, Contexts, ValidFrames
from mctc.streaming.lengths import Lengths, rate_of
from mctc.streaming.refusals import no_whole_extent, takes_whole
from mctc.streaming.sizes import check_dimensions, goes_along, has_open, length_in_words, sizes_of, streaming_role
from mctc.streaming.step_info import StepInfo
from mctc.streaming.timing import Timing, join, window_delay

T = TypeVar("T")


@dataclass(frozen=True)
class Last:
    """What is known when the utterance ends: the op that left it behind, and when its frames come."""

    maker: Op
    timing: Timing


class Derivation:
    def __init__(self, program: Program, function: Function, lengths: Lengths, called: str, labels: int = 1) -> None:
        self.program, self.function, self.lengths, self.called = program, function, lengths, called
        self.role = streaming_role(function)
        self.streams = lengths.streams or self.role is Role.LABEL
        check_dimensions(function, self.role, streams=self.streams)
        self.symbol = goes_along(program, function, self.role)
        self.sizes = sizes_of(program, function, self.role, lengths, labels, streams=self.streams)
        self._static: dict[TensorType, TensorType] = {}  # types at these sizes: layers are alike
        self.chunk = labels if self.symbol is None else self.sizes[self.symbol]
        self.longest = program.utterance.count("labels") if self.role is Role.LABEL else None
        self.builder = Builder(program)
        self.contexts = Contexts(self.builder, self.role, (value.name for value in function.inputs))
        self.valid = ValidFrames(self.contexts, self.chunk * self._finest(), self.role, function.origin)
        self.values: dict[Value, Value] = {}
        self.sequences: set[Value] = set()  # new values with an axis along which the function goes
        self.timings: dict[Value, Timing] = {}  # of those that come chunk by chunk
        self.last: dict[Value, Last] = {}  # values of the last frame alone
        self.read = {value for op in function.ops for value in op.present()} | set(function.outputs)
        behaviours = [op.along(self.role) for op in function.ops]
        self.looks_ahead = any(isinstance(each, Window) and each.right >= each.stride for each in behaviours)

    def _finest(self) -> int:
        """How many frames of the finest rate one frame of the dimension has: 2 where an input has 2*T frames."""
        extents = [extent for value in self.function.inputs for extent in value.type.extents]
        return lcm(*(extent.coefficient(self.symbol or "").numerator or 1 for extent in extents))

    def run(self, loop: Callable[[Derivation, Loop], None]) -> tuple[Function, StepInfo]:
        """The step, and what a caller has to know of it; `loop` derives that of a recurrence with a body."""
        for value in self.function.inputs:
            self._input(value)
        for item in in_order(self.function.ops):
            if isinstance(item, Loop):
                loop(self, item)
            else:
                self.located(item, partial(self._step, item))
        function = self.function
        inputs = [self.values[value] for value in function.inputs]
        if self.valid.input is not None:
            self._refuse_name(self.valid.input.name)
            inputs.append(self.valid.input)
        results = [(name, self.values[value]) for name, value in function.results]
        states: list[State] = self.contexts.states
        domains = {**mask_domains(function), **function.domains}  # behind it a mask may be the operand of no mask
        if self.valid.input is not None:
            domains[VALID] = MASK
        step = replace(
            function,
            name=self.called,
            inputs=inputs,
            ops=self.builder.ops,
            results=results,
            states=states,
            domains=domains,
        )
        return step, self._info(step)

    def located(self, op: Op, action: Callable[[], T]) -> T:
        """What an action for an op gives; its place in what goes wrong."""
        self.builder.origin = op.origin
        try:
            return action()
        except InferenceError as error:
            told = f"{op.name} can't take the frames of a call: {error}"
            raise LocatedError("MCT0210", told, op.origin.location, hint=error.hint) from error

    def _refuse_name(self, name: str) -> None:
        """What says which frames exist has a name that is taken."""
        if name in {*(value.name for value in self.function.inputs), *(result for result, _ in self.function.results)}:
            told = f"`{name}` of {self.function.name} is what its step calls the frames that exist"
            raise LocatedError("MCT0206", told, self.function.origin.location, hint="give it another name")

    def _input(self, value: Value) -> None:
        new = Value(self.static(value.type, None), value.name)
        self.values[value] = new
        if self.is_sequence(value):
            self.sequences.add(new)
            if self.streams:
                self.timings[new] = Timing(jump=Fraction(self.chunk, self.frames(new)))

    def is_sequence(self, value: Value) -> bool:
        """Whether a value of the whole function has the axis along which the function goes."""
        return any(axis.role is self.role and axis.extent.symbols for axis in value.type.axes)

    def static(self, type_: TensorType, op: Op | None) -> TensorType:
        known = self._static.get(type_)
        if known is not None:
            return known
        new = self._static[type_] = type_.substitute(self.sizes)
        try:
            new.shape  # noqa: B018  raises when an extent is no whole number
        except ExtentError as error:
            raise self._no_whole(type_, op) from error
        return new

    def _no_whole(self, type_: TensorType, op: Op | None) -> DiagnosticError:
        what = length_in_words(self.role is Role.LABEL or not self.streams)
        return no_whole_extent(self.program, self.function, op, type_, self.sizes, what)

    def frames(self, value: Value) -> int:
        axis = value.type.find(self.role)
        assert axis is not None
        return value.type.extents[axis].value

    def _step(self, op: Op) -> None:
        operands = [None if v is None else self.values[v] for v in op.operands]
        streaming = [v for v in operands if v in self.timings]
        for value in op.results:
            self.static(value.type, op)
        last = next((self.last[v] for v in operands if v in self.last), None) if not streaming else None
        for operand in operands if streaming else ():
            self.refuse_last(operand, op)
        attributes: Attributes = {name: substitute(value, self.sizes) for name, value in op.attributes.items()}
        behaviour, attributes = self._behaviour(op, operands, attributes)
        if not streaming:
            results = self.emit(op, operands, attributes)
        elif isinstance(behaviour, Whole):
            results = self._blocks(op, operands, attributes, behaviour)
        elif isinstance(behaviour, Window):
            results = self._window(op, operands, attributes, behaviour)
        elif isinstance(behaviour, Recurrent):
            results = self._recurrent(op, operands, attributes, behaviour)
        else:
            operands, timing = self._align(operands)
            results = self.emit(op, self.defined(op, operands), attributes)
            self.time(op, results, timing.spread(behaviour.factor) if isinstance(behaviour, Spread) else timing)
        for old, new in zip(op.results, results, strict=True):
            self.values[old] = new
            name_like(new, old)
            if last is not None:
                self.last[new] = last
            if self.is_sequence(old):
                self.sequences.add(new)

    def _behaviour(
        self, op: Op, operands: list[Value | None], attributes: Attributes
    ) -> tuple[TimeBehaviour, Attributes]:
        """An op's time behaviour here: what is needed whole may not stream, or be bounded by the longest stream."""
        behaviour = op.along(self.role)
        if not isinstance(behaviour, Whole):
            return behaviour, attributes
        declared = [each.name for each in op.fields]
        if behaviour.operands and not any(
            value in self.timings for name, value in zip(declared, operands) if name in behaviour.operands
        ):
            return POINTWISE, attributes
        if behaviour.bound is not None and self.longest is not None:
            attributes = {**attributes, behaviour.bound: self.longest - 1}
            return type(op)(op.operands, attributes, op.origin).along(self.role), attributes
        return behaviour, attributes

    def emit(self, op: Op, operands: list[Value | None], attributes: Attributes) -> tuple[Value, ...]:
        if isinstance(op, ParameterOp):
            return (self.builder.parameter(op.parameter),)
        try:
            return self.builder.emit(op.name, *operands, **attributes)
        except ExtentError as error:
            raise self._no_whole(op.result.type, op) from error

    def time(self, op: Op, results: tuple[Value, ...], timing: Timing) -> None:
        for old, new in zip(op.results, results, strict=True):
            if self.is_sequence(old):
                self.timings[new] = timing

    def _align(self, operands: list[Value | None]) -> tuple[list[Value | None], Timing]:
        """Delay lines where one operand looks ahead and another does not."""
        timings = [self.timings[v] for v in operands if v in self.timings and v is not None]
        timing = join(timings)
        return [self.delayed(v, timing.delay) for v in operands], timing

    def defined(self, op: Op, operands: list[Value | None]) -> list[Value | None]:
        """Ones for the frames that do not exist, where the op is not finite at zero: 0 * inf would outlive the mask."""
        for index, operand in enumerate(op.fields):
            value = operands[index] if operand.name in op.nonzero else None
            if self.looks_ahead and value is not None and value in self.timings:
                delay = self.timings[value].delay
                valid = self.valid.at(self.frames(value), delay)
                gone = self.builder.op("scale", valid, factor=-1.0, offset=1.0)
                operands[index] = self.builder.op("add", self.builder.op("mul", value, valid), gone)
        return operands

    def delayed(self, value: Value | None, delay: int) -> Value | None:
        if value is None or value not in self.timings:
            return value
        late = self.contexts.delay(value, delay - self.timings[value].delay)
        self.timings[late] = self.timings[value].late(delay - self.timings[value].delay)
        return late

    def _window(self, op: Op, operands: list[Value | None], attributes: Attributes, w: Window) -> tuple[Value, ...]:
        declared = [o.name for o in op.fields]
        seen = (*w.operands, w.mask)
        windowed = [v for name, v in zip(declared, operands) if name in w.operands and v is not None]
        others = [v for name, v in zip(declared, operands) if name not in w.operands and v in self.timings]
        late = max(self.timings[v].delay for n, v in zip(declared, operands) if v in self.timings and n in seen)
        delay = max([window_delay(late, w.right, w.stride)] + [self.timings[v].delay for v in others if v is not None])
        inner = join([self.timings[v] for v in windowed])
        beside = [self.timings[v] for v in others if v is not None]
        for index, name in enumerate(declared):
            value = operands[index]
            if name in w.operands and value is not None:
                operands[index] = self._context(value, w, delay, late, name if len(windowed) > 1 else "")
            elif name == w.mask:
                operands[index] = self._key_mask(windowed[0], value, w, delay)
            elif value in self.timings:
                operands[index] = self.delayed(value, delay)
        results = self.emit(op, operands, {**attributes, **dict(w.given)})
        self.time(op, results, join([inner.window(w.left, w.right, w.stride, delay), *beside]))
        return results

    def _context(self, x: Value, w: Window, delay: int, late: int, name: str) -> Value:
        own, frames = self.timings[x].delay, self.frames(x)
        is_input = x in (self.values[value] for value in self.function.inputs)
        if w.mask is None and (own > 0 or (w.right > w.stride - 1 and not is_input)):
            x = self.builder.op("mul", x, self.valid.at(frames, own))
        outputs = frames // w.stride
        needed = w.stride * (outputs - 1) + w.left + w.right + 1
        suffix = f"{name}.context" if name else "context"
        return self.contexts.buffer(x, w.stride * delay + w.left - own, needed, suffix)

    def _key_mask(self, key: Value, given: Value | None, w: Window, delay: int) -> Value:
        """Which frames of the keys' context exist; in a mask of the author's own the others are ABSENT."""
        own, frames = self.timings[key].delay, self.frames(key)
        needed = frames + w.left + w.right
        exists = self.contexts.buffer(self.valid.at(frames, own), delay + w.left - own, needed, "valid")
        if given is None:
            return exists
        asked = self.contexts.buffer(given, delay + w.left - self.timings[given].delay, needed, "key_mask.context")
        narrowed = self.builder.op("mul", asked, exists)
        absent = self.builder.op("scale", exists, factor=-ABSENT, offset=ABSENT)
        return self.builder.op("add", narrowed, absent)

    def _blocks(self, op: Op, operands: list[Value | None], attributes: Attributes, w: Whole) -> tuple[Value, ...]:
        """An op over whole blocks of frames, none of which goes on in the next call."""
        operands, timing = self._align(operands)
        declared = [each.name for each in op.fields]
        seen = [value for name, value in zip(declared, operands) if name in w.operands and value in self.timings]
        counts = [count for value in seen if value is not None for count in (self.frames(value), timing.delay)]
        if w.block is None or any(count % w.block for count in counts):
            raise takes_whole(self.function, op, w, self.role, counts)
        if w.mask is not None and seen[0] is not None:
            at = declared.index(w.mask)
            operands[at] = self._key_mask(seen[0], operands[at], Window(w.before, 0, 1, w.operands, ()), timing.delay)
            timing = timing.block(w.block, w.before)
        if w.before:
            attributes = {**attributes, "given": True}
            for at, value in enumerate(operands):
                if declared[at] in w.operands and value is not None:
                    needed = self.frames(value) + w.before
                    operands[at] = self.contexts.buffer(value, w.before, needed, f"{declared[at]}.context")
        results = self.emit(op, operands, attributes)
        self.time(op, results, timing)
        return results

    def _recurrent(
        self, op: Op, operands: list[Value | None], attributes: Attributes, r: Recurrent
    ) -> tuple[Value, ...]:
        """A state starts at zero: where the op starts from a given value, the state holds how far it is from that."""
        operands, timing = self._align(operands)
        declared = [o.name for o in op.fields]
        if timing.delay or self.ends(op, [result for _, result in r.states]):
            frames = next(self.frames(v) for v in operands if v is not None and v in self.timings)
            given, valid = operands[declared.index(r.mask)], self.valid.at(frames, timing.delay)
            operands[declared.index(r.mask)] = valid if given is None else self.builder.op("mul", given, valid)
        types = [v.type for v in make(type(op), operands, attributes, op.origin).results]
        opened = []
        for name, result in r.states:
            start, state = operands[declared.index(name)], self.contexts.recurrent(types[result], name)
            operands[declared.index(name)] = state if start is None else self.builder.op("add", state, start)
            opened.append((state, start, result))
        results = self.emit(op, operands, attributes)
        for state, start, result in opened:
            end = results[result]
            self.contexts.close(state, end if start is None else self.builder.op("sub", end, start))
            self.last[end] = Last(op, timing)
        self.time(op, results, timing.recurrent())
        return results

    def ends(self, op: Op, results: Sequence[int]) -> bool:
        """Whether anything reads what is left behind the last frame: frames that fill up a call must not move it."""
        return any(op.results[index] in self.read for index in results)

    def refuse_last(self, value: Value | None, user: Op) -> None:
        """A final state is known when the utterance ends: nothing that has frames may read it."""
        last = self.last.get(value) if value is not None else None
        if last is not None:
            raise self._whole(user, Whole(f"the final state of {last.maker.name} is known at the end only"))

    def _whole(self, op: Op, behaviour: Whole) -> DiagnosticError:
        return takes_whole(self.function, op, behaviour, self.role)

    def _info(self, step: Function) -> StepInfo:
        named = [(value.name, value) for value in step.inputs] + step.results
        sequences = self.sequences | {self.valid.input}
        frames = {name: self.frames(value) for name, value in named if value in sequences}
        if not self.streams:
            for _, value in step.results:
                if value in sequences:
                    self.timings[value] = Timing(0, None, self.chunk, Fraction(self.chunk, self.frames(value)))
        timings = {name: self.timings[value] for name, value in step.results if value in self.timings}
        timings |= {name: self.last[value].timing for name, value in step.results if value in self.last}
        rate = rate_of(self.program, self.symbol)
        needs_valid = self.valid.input is not None
        return StepInfo(
            step.name, self.role, self.symbol, self.chunk, frames, timings, rate, needs_valid, self.function.name,
            self.streams, self._labels(step),
        )  # fmt: skip

    def _labels(self, step: Function) -> dict[str, int]:
        """Labels a call of what has labels beside time."""
        whole = [*((value.name, value) for value in self.function.inputs), *self.function.results]
        beside = {name for name, value in whole if self.role is Role.TIME and has_open(value.type, Role.LABEL)}
        made = [*((value.name, value) for value in step.inputs), *step.results]
        axes = [(name, value, value.type.find(Role.LABEL)) for name, value in made if name in beside]
        return {name: value.type.shape[axis] for name, value, axis in axes if axis is not None}


def substitute(value: AttributeValue, sizes: Mapping[str, int]) -> AttributeValue:
    if isinstance(value, Extent):
        return value.substitute(sizes)
    if isinstance(value, (list, tuple)):
        return tuple(substitute(v, sizes) for v in value)
    return value
