"""Recurrences of the author's own: `scan h: f32[B, T, width] = start { ... }`."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.diagnostics.diagnostic import Diagnostic, diagnostic_at
from mctc.ir.dims import Extent
from mctc.ir.loops import sees_one_frame
from mctc.ir.op import Op
from mctc.ir.program import Value
from mctc.ir.types import Axis, DType, Role, TensorType
from mctc.language import syntax as s
from mctc.language.calls import Calls, Returned
from mctc.language.failure import SilentError, fail
from mctc.language.finals import Ending, shifted
from mctc.language.scope import Frame, bindings
from mctc.language.session import Session
from mctc.language.starts import first_frame, kept_as_it_is
from mctc.language.values import Bound, Poison, Single, describe, plain, show_type
from mctc.records import dataclass


@dataclass(frozen=True)
class State:
    """A state while its scan is elaborated: its value before each frame, less `start`."""

    node: s.ScanState
    before: Value
    start: Value | float


@dataclass(frozen=True)
class Opening:
    """How a state begins: its type over all frames, what it is kept less of, what is added at the first frame."""

    type: TensorType
    start: Value | float
    first: Value | None


class Scans:
    """Elaborates scans. In the body the name of a state is its value of the frame before, all else is as outside."""

    def __init__(self, session: Session, calls: Calls) -> None:
        self.session, self.calls = session, calls

    def run(self, node: s.Scan, frame: Frame) -> None:
        """Raises FaultError for states that can't be, SilentError where the body or an op in it was reported."""
        _told_apart(node)
        openings = [self._opening(held, frame) for held in node.states]
        begin = len(self.session.builder.ops)
        states = [self._open(held, opening, frame) for held, opening in zip(node.states, openings)]
        reported = len(self.session.diagnostics)
        returned: Returned | None = self.calls.run(node.body, frame)
        if returned is not None:
            raise fail("MCT0102", "the body of a scan can't return", returned[0][1], "return behind the scan")
        if len(self.session.diagnostics) > reported:
            raise SilentError
        after = [self._after(state, frame) for state in states]
        moving = self._moving(states, begin, frame)
        self._close(node, states, after, moving, frame)

    def _start(self, held: s.ScanState, frame: Frame) -> Value | float:
        value = 0 if held.start is None else plain(self.calls.evaluator.single(held.start, frame))
        hint = "a state starts from a number or a tensor without frames"
        if isinstance(value, Value):
            at = value.type.sequence
            if held.start is not None and at is not None and value.type.extents[at] != Extent.of(1):
                what = f"`{held.name.text}` can't start from {describe(value)}: it has frames of its own"
                raise fail("MCT0117", what, held.start.span, hint)
            return value
        if held.start is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise fail("MCT0117", f"`{held.name.text}` can't start from {describe(value)}", held.start.span, hint)
        assert isinstance(value, (int, float))
        return float(value)

    def _opening(self, held: s.ScanState, frame: Frame) -> Opening:
        start = self._start(held, frame)
        type_ = _with_features(self.calls.types.type(held.type, frame))
        if type_.sequence is None or type_.dtype is not DType.F32:
            hint = "write its type over all frames: `h: f32[B, T, width]`"
            raise fail("MCT0117", f"`{held.name.text}` is {show_type(type_)}, which is no state", held.type.span, hint)
        if frame.scope.is_dim(held.name.text):
            raise fail("MCT0109", f"`{held.name.text}` is a dimension and can't be bound again", held.name.span)
        if isinstance(start, Value) or not kept_as_it_is(start):
            return Opening(type_, start, None)
        first = first_frame(self.session, start, type_, held.name.text, held.span, frame)
        return Opening(type_, 0.0, first)

    def _open(self, held: s.ScanState, opening: Opening, frame: Frame) -> State:
        """A state that begins at zeros."""
        type_ = opening.type
        axes = tuple((axis.role.value, axis.extent) for axis in type_.axes)
        attributes = {"axes": axes, "state": held.name.text}
        (before,) = self.session.emit("scan_state", [], attributes, held.span, frame)
        value = shifted(self.session, before, opening.start, 1, held.span, frame)
        if opening.first is not None:
            (value,) = self.session.emit("add", [before, opening.first], {}, held.span, frame)
        frame.scope.values[held.name.text] = value
        value.name = before.name = held.name.text
        if value.type != type_:
            message = f"`{held.name.text}` is {show_type(type_)}, but with its start {show_type(value.type)}"
            raise fail("MCT0117", message, held.span, "a start has the axes of one frame, or fewer")
        return State(held, before, opening.start)

    def _after(self, state: State, frame: Frame) -> Value:
        """What the body leaves in the name of a state."""
        name = state.node.name
        value = frame.scope.values[name.text]
        if isinstance(value, Poison):
            raise SilentError
        if not isinstance(value, Value):
            told = describe(value) if value is None or not hasattr(value, "name") else "no tensor"
            raise fail("MCT0117", f"the body leaves {told} in state `{name.text}`", name.span)
        if value.type != state.before.type:
            types = show_type(state.before.type), show_type(value.type)
            raise fail("MCT0117", f"state `{name.text}` is {types[0]}, but the body leaves {types[1]}", name.span)
        return value

    def _moving(self, states: list[State], begin: int, frame: Frame) -> set[Value]:
        """The values that depend on a state. Reports ops that would have to see other frames of them."""
        moving = {state.before for state in states}
        role, wrong = states[0].before.type.sequence_role, False
        assert role is not None
        for op in self.session.builder.ops[begin:]:
            if moving.intersection(op.present()):
                moving.update(op.results)
                if not sees_one_frame(op, role):
                    self.session.report(_several_frames(op, role), frame.sites)
                    wrong = True
        for op, instance in _beside_states(self.session.builder.ops[begin:], moving, role, frame):
            self.session.report(_in_a_block_of_frames(op, instance), frame.sites)
            wrong = True
        if wrong:
            raise SilentError
        return moving

    def _close(self, node: s.Scan, states: list[State], after: list[Value], moving: set[Value], frame: Frame) -> None:
        """Ends the loop: what depends on it leaves by its results alone."""
        inner = [frame.scope.values[name] for name in bindings(node.body) if name in frame.scope.values]
        span = node.states[0].span
        next_ = [shifted(self.session, value, state.start, -1, span, frame) for state, value in zip(states, after)]
        used = dict.fromkeys(value for item in inner for value in _tensors(item) if value in moving)
        leaving = [value for value in used if value not in next_]
        operands: list[Value | None] = [*(state.before for state in states), *next_, *leaving]
        results = self.session.emit("scan", operands, {"states": len(states)}, span, frame)
        new = dict(zip([*next_, *leaving], results))
        for state, value, last in zip(states, after, results[-len(states) :]):
            ending = {state.node.name.text: Ending(last, state.start)}
            self.session.endings.setdefault(new.get(value, value), {}).update(ending)
        for old, value in new.items():
            value.name = old.name
        for name in bindings(node.body):
            if name in frame.scope.values:
                frame.scope.values[name] = _replaced(frame.scope.values[name], new)


def _with_features(type_: TensorType) -> TensorType:
    """The type of a state as it is written, of whose two axes without a dimension the first holds features."""
    plain_axes = [at for at, axis in enumerate(type_.axes) if axis.role is Role.CHANNEL]
    if len(plain_axes) != 2:
        return type_
    return type_.with_axis(plain_axes[0], Axis(Role.FEATURE, type_.extents[plain_axes[0]]))


def _told_apart(node: s.Scan) -> None:
    names: set[str] = set()
    for held in node.states:
        if held.name.text in names:
            told = f"two states of this scan are called `{held.name.text}`"
            raise fail("MCT0117", told, held.name.span, "give each a name of its own")
        names.add(held.name.text)


def _several_frames(op: Op, role: Role) -> Diagnostic:
    message = f"`{op.name}` would see other frames than its own of what depends on a state"
    hint = f"in a scan over {role.value} a state is known frame by frame: apply `{op.name}` before or behind it"
    return diagnostic_at(op.origin.location, "MCT0118", message, hint=hint)


def _beside_states(ops: list[Op], moving: set[Value], role: Role, frame: Frame) -> Iterator[tuple[Op, str]]:
    """Ops over several frames of what depends on no state, in an instance that reads one."""
    reading = {_instance(op, frame) for op in ops if moving.intersection(op.results)} - {""}
    for op in ops:
        instance = _instance(op, frame)
        if instance in reading and not moving.intersection(op.results) and op.operands and not sees_one_frame(op, role):
            yield op, instance


def _instance(op: Op, frame: Frame) -> str:
    """The instance in a scan's body that an op belongs to; '' for the body itself."""
    element, *inner = op.origin.path.removeprefix(frame.path).strip(".").split(".")
    return f"{element}.{inner[0]}" if inner and inner[0].isdigit() else element


def _in_a_block_of_frames(op: Op, instance: str) -> Diagnostic:
    """A module has a class for the instance, and calls it once a frame."""
    message = f"`{instance}` reads a state, so it runs frame by frame, and its `{op.name}` would see other frames"
    hint = f"apply `{op.name}` outside of the block, in front of the scan, and hand its result to it"
    return diagnostic_at(op.origin.location, "MCT0118", message, hint=hint)


def _tensors(value: object) -> list[Value]:
    if isinstance(value, (tuple, list)):
        return [tensor for item in value for tensor in _tensors(item)]
    return [value] if isinstance(value, Value) else []


def _replaced(value: Bound, new: dict[Value, Value]) -> Bound:
    return _replaced_single(value, new) if isinstance(value, (Value, tuple)) else value


def _replaced_single(value: Single, new: dict[Value, Value]) -> Single:
    if isinstance(value, tuple):
        return tuple(_replaced_single(item, new) for item in value)
    return new.get(value, value) if isinstance(value, Value) else value
