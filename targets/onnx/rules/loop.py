"""A recurrence of the author's own: ONNX's Scan, whose body is the ops of one frame."""

from __future__ import annotations

from collections.abc import Sequence

from mctc.emit.rules import Rules
from mctc.ir.loops import frame_of, loop_of
from mctc.ir.ops.loop import Scan, ScanState
from mctc.ir.program import Value
from mctc.ir.types import TensorType
from mctc.targets.onnx.graph import GraphEmitter, Result
from mctc.targets.onnx.rules.axes import arranged, inverse, order_to
from mctc.targets.onnx.rules.frames import Carried, scan_frames

RULES = Rules[GraphEmitter, Result]()


@RULES.of(Scan)
def _scan(op: Scan, e: GraphEmitter) -> list[str]:
    """Frames first, one of them a round; inside, the axis of frames has extent 1."""
    loop = loop_of(e.function.ops, op)
    frame = frame_of(loop)
    rows = [(old, new) for old, new in frame.taken.items() if new is not old]
    e.values.update((new, e.ref(old)) for old, new in frame.taken.items() if new is old)
    held = [Carried(_start(state, e), before.type.extents) for state, before in zip(loop.states, frame.before)]
    inputs = [_frames_first(e.ref(old), old.type, e) for old, _ in rows]
    if not inputs:  # a Scan counts the frames of what it reads
        inputs = [Carried(e.node("Expand", e.number(0, loop.states[0].result.type), e.sizes.shape([loop.frames])), [])]

    def body(states: Sequence[str], slices: Sequence[str]) -> tuple[list[str], list[str]]:
        e.values.update(zip(frame.before, states, strict=True))
        for (_, new), name in zip(rows, slices):
            e.values[new] = e.node("Unsqueeze", name, e.ints([_axis(new)]))
        for each, of in zip(frame.ops, loop.ops, strict=True):
            e.emit_inside(each, of)
        return _own([*frame.after], e), _own([_squeezed(value, e) for value in (*frame.after, *frame.others)], e)

    made = loop.close.results[: len(frame.after) + len(frame.others)]
    found = scan_frames(e, held, inputs, body, [arranged(v.type.extents, _order(v.type))[1:] for v in made])
    results = [e.transposed(name, inverse(_order(v.type))) for name, v in zip(found, made)]
    last = zip(found[len(made) :], frame.before, loop.close.results[len(made) :])
    return [*results, *(e.reshaped(name, old.type.extents, new.type.extents) for name, old, new in last)]


def _own(values: Sequence[Value | str], e: GraphEmitter) -> list[str]:
    """Names of values as results of a body, which have to be made in it and to differ."""
    return [e.node("Identity", value if isinstance(value, str) else e.ref(value)) for value in values]


def _start(state: ScanState, e: GraphEmitter) -> str:
    type_ = state.result.type
    extents = type_.with_extent(type_.sequence or 0, 1).extents
    if state.start is None:
        return e.node("Expand", e.number(0, type_), e.sizes.shape(extents))
    return e.reshaped(e.ref(state.start), state.start.type.extents, extents)


def _frames_first(name: str, type_: TensorType, e: GraphEmitter) -> Carried:
    order = _order(type_)
    return Carried(e.transposed(name, order), arranged(type_.extents, order)[1:])


def _order(type_: TensorType) -> list[int]:
    assert type_.sequence is not None
    return order_to(type_.rank, [type_.sequence], [0])


def _axis(value: Value) -> int:
    assert value.type.sequence is not None
    return value.type.sequence


def _squeezed(value: Value, e: GraphEmitter) -> str:
    return e.node("Squeeze", e.ref(value), e.ints([_axis(value)]))
