"""The selective scan and ssd, one frame after the other: the recurrence as it is defined."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mctc.emit.rules import Rules
from mctc.ir.dims import Extent
from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.scan import SelectiveScan
from mctc.ir.ops.shape import product
from mctc.ir.ops.ssd import Sizes, Ssd
from mctc.ir.types import TensorType
from mctc.ir.value import Value
from mctc.targets.onnx.graph import GraphEmitter, Result
from mctc.targets.onnx.rules.axes import arranged, inverse, order_to
from mctc.targets.onnx.rules.frames import Carried, scan_frames
from mctc.targets.onnx.rules.mask import marks_along

RULES = Rules[GraphEmitter, Result]()
TURNED = 0, 2, 1


@RULES.of(SelectiveScan)
def _selective_scan(op: SelectiveScan, e: GraphEmitter) -> list[str]:
    """Operands as [frames, all other axes but the channels, channels]; the state as [those, N, D] inside of the loop:
    what is broadcast then goes along the channels, the longer of the two."""
    x = op.x.type
    order = _frames_first(x)
    moved = arranged(x.extents, order)
    many, width, states = product(moved[1:-1]), moved[-1], op.A.type.extents[1]

    def frames(name: str, channels: Extent) -> str:
        name = e.transposed(name, order)
        return e.reshaped(name, [*moved[:-1], channels], [moved[0], many, channels])

    inputs, a, b, c, skip, state = op.x, op.A, op.B, op.C, op.D, op.h
    u, dt = frames(e.ref(inputs), width), frames(_existing(op, op.delta, e), width)
    held_type, outside, inside = op.results[1].type, [many, width, states], [many, states, width]
    if state is None:
        held = e.node("Expand", e.number(0, x), e.sizes.shape(inside))
    else:
        held = e.transposed(e.reshaped(e.ref(state), held_type.extents, outside), TURNED)
    rows = [Carried(name, [many, width]) for name in (u, dt)]
    rows += [Carried(frames(e.ref(value), states), [many, states]) for value in (b, c)]
    frame = _frame(e, e.transposed(e.ref(a), (1, 0)))
    y, last = scan_frames(e, [Carried(held, inside)], rows, frame, [[many, width]])
    if skip is not None:
        y = e.node("Add", y, e.node("Mul", u, e.ref(skip)))
    y = e.transposed(e.reshaped(y, [moved[0], many, width], moved), inverse(order))
    return [y, e.reshaped(e.transposed(last, TURNED), outside, held_type.extents)]


def _existing(op: SelectiveScan | Ssd, value: Value, e: GraphEmitter) -> str:
    """A step size or log decay: 0 in a frame that does not exist."""
    name = e.ref(value)
    return name if op.mask is None else e.node("Mul", name, marks_along(op.mask, op.x, e)[0])


def _frames_first(x: TensorType) -> list[int]:
    """The order of x's axes in which the frames are first and the channels last."""
    assert x.sequence is not None
    return order_to(x.rank, [x.sequence, channel_axis(x)], [0, -1])


def _frame(e: GraphEmitter, a: str) -> Callable[[Sequence[str], Sequence[str]], tuple[list[str], list[str]]]:
    """h = exp(delta A) h + (delta x) B; y = sum over n of h C, as a product of a row and a matrix."""

    def frame(states: Sequence[str], slices: Sequence[str]) -> tuple[list[str], list[str]]:
        u, dt, b, c = slices
        last, row = e.ints([-1]), e.ints([-2])
        decay = e.node("Exp", e.node("Mul", e.node("Unsqueeze", dt, row), a))
        push = e.node("Unsqueeze", e.node("Mul", dt, u), row)
        pushed = e.node("Mul", push, e.node("Unsqueeze", b, last))
        h = e.node("Add", e.node("Mul", decay, states[0]), pushed)
        read = e.node("MatMul", e.node("Unsqueeze", c, row), h)
        return [h], [e.node("Squeeze", read, row)]

    return frame


@RULES.of(Ssd)
def _ssd(op: Ssd, e: GraphEmitter) -> list[str]:
    """Operands as [frames, all other axes but the channels, groups, heads or 1, P or N], several writes or reads before
    the groups; the state as [those, P, N]."""
    n, x = Sizes.of(op), op.x.type
    order = _frames_first(x)
    moved = arranged(x.extents, order)
    many, groups, heads = product(moved[1:-1]), Extent.of(n.groups), Extent.of(n.heads // n.groups)
    width, states, one = Extent.of(n.width), Extent.of(n.states), Extent.of(1)

    def frames(name: str, each: int, *parts: Extent) -> Carried:
        parts = parts if each == 1 else (Extent.of(each), *parts)
        laid = e.reshaped(e.transposed(name, order), [*moved[:-1], product(parts)], [moved[0], many, *parts])
        return Carried(laid, [many, *parts])

    inputs, a, b, c, skip, state = op.x, op.A, op.B, op.C, op.D, op.h
    u = frames(e.ref(inputs), n.writes, groups, heads, width)
    rows = [u, frames(_existing(op, op.delta, e), n.writes, groups, heads, one)]
    rows += [frames(e.ref(v), each, groups, one, states) for v, each in ((b, n.writes), (c, n.reads))]
    per_head = e.ints([n.groups, n.heads // n.groups, 1])
    rate = e.node("Reshape", e.ref(a), per_head) if a.type.rank == 1 else None
    if rate is None:
        rows.append(frames(_existing(op, a, e), 1, groups, heads, one))
    if op.diagonal is not None:
        rows.append(frames(_existing(op, op.diagonal, e), n.writes, groups, heads, one))
    held_type, extents = op.results[1].type, [many, groups, heads, width, states]
    if state is None:
        held = e.node("Expand", e.number(0, x), e.sizes.shape(extents))
    else:
        held = e.reshaped(e.ref(state), held_type.extents, extents)
    made = [many, *([] if n.reads == 1 else [Extent.of(n.reads)]), groups, heads, width]
    frame = _head_frame(e, rate, n, op.diagonal is not None)
    y, last = scan_frames(e, [Carried(held, extents)], rows, frame, [made])
    if skip is not None:
        y = e.node("Add", y, e.node("Mul", u.name, e.node("Reshape", e.ref(skip), per_head)))
    back = [*moved[:-1], Extent.of(n.reads) * groups * heads * width]
    y = e.transposed(e.reshaped(y, [moved[0], *made], back), inverse(order))
    return [y, e.reshaped(last, extents, held_type.extents)]


def _head_frame(
    e: GraphEmitter, rate: str | None, n: Sizes, apart: bool
) -> Callable[[Sequence[str], Sequence[str]], tuple[list[str], list[str]]]:
    """h = exp(delta A) h + (delta x) B^T; y = sum over n of h C. Without a rate the log decay is a row; apart: the last
    row is what stands for delta in what is read."""

    def frame(states: Sequence[str], slices: Sequence[str]) -> tuple[list[str], list[str]]:
        u, dt, b, c, *others = slices
        last, row, first = e.ints([-1]), e.ints([-2]), e.ints([1])
        exponent = others[0] if rate is None else e.node("Mul", dt, rate)
        decayed = e.node("Mul", e.node("Unsqueeze", e.node("Exp", exponent), last), states[0])

        def pushed(weight: str) -> str:
            product = e.node("Mul", e.node("Unsqueeze", e.node("Mul", weight, u), last), e.node("Unsqueeze", b, row))
            total = product if n.writes == 1 else e.node("ReduceSum", product, first, keepdims=0)
            return e.node("Add", decayed, total)

        h = pushed(dt)
        read = pushed(others[-1]) if apart else h
        read = read if n.reads == 1 else e.node("Unsqueeze", read, first)
        return [h], [e.node("ReduceSum", e.node("Mul", read, e.node("Unsqueeze", c, row)), last, keepdims=0)]

    return frame
