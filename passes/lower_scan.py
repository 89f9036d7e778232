"""Recurrences of the author's own, frame after frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mctc.ir.loops import Loop, frame_of, in_order
from mctc.ir.ops.leaf import Constant
from mctc.ir.ops.loop import Scan, ScanState
from mctc.ir.ops.shape import Concat, Split
from mctc.ir.program import Function, Op, Program, State, Value, name_like
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.rewriter import Rewriter, rewrite_functions


class LowerScan(Pass):
    """Unrolls a `scan` over the frames of a step: its ops once a frame.

    No device has a loop that keeps its ops on the Neural Engine. What depends on no state is computed for all frames
    at once, in front.
    """

    name = "lower-scan"
    promise = Exact()
    stage = "deploy"
    before = ("lower-rnn", "lower-attention", "lower-selective-scan", "fold-state-reshapes", "pack-states")

    def run(self, program: Program, context: Context) -> Program:
        def rebuild(new: Program, function: Function) -> Function:
            if not any(isinstance(op, Scan) for op in function.ops):
                return function
            return _unrolled(function, Rewriter(new, function, self.name, context))

        return rewrite_functions(program, rebuild)


def _unrolled(function: Function, to: Rewriter) -> Function:
    for value in (*function.inputs, *(state.value for state in function.states)):
        to.bind(value, value)
    for item in in_order(function.ops):
        if not isinstance(item, Loop):
            to.visit(item, _kept)
        elif item.frames.is_static:
            _unroll(item, to)
        else:
            to.refuse(item.close, f"{item.frames} is no known number of frames")
            for op in (*item.states, *item.ops, item.close):
                to.visit(op, _kept)
    to.origin = function.origin
    return to.rebuilt([State(s.name, to[s.value], to[s.update]) for s in function.states])


def _kept(op: Op, to: Rewriter) -> None:
    return None


def _unroll(loop: Loop, to: Rewriter) -> None:
    """The ops of one frame for each frame, on slices of what has frames."""
    frame, count, axis = frame_of(loop), loop.frames.value, loop.states[0].result.type.sequence
    start = len(to.ops)
    to.origin = loop.close.origin
    sliced = {new: _frames(to[old], loop, count, to) for old, new in frame.taken.items() if new is not old}
    held = [_start(state, before, to) for state, before in zip(loop.states, frame.before)]
    rows: list[Sequence[Value]] = []
    for t in range(count):
        inside = {new: parts[t] for new, parts in sliced.items()}
        inside.update(zip(frame.before, held, strict=True))
        for old, op in zip(loop.ops, frame.ops):
            to.origin = old.origin
            results = to.emit(type(op), *(_inside(value, inside, to) for value in op.operands), **op.attributes)
            inside.update(zip(op.results, results, strict=True))
        held = [inside[value] if value in inside else to[value] for value in frame.after]
        others = [inside[value] if value in inside else to[value] for value in frame.others]
        rows.append([*held, *others])
    to.origin = loop.close.origin
    joined = [row[0] if count == 1 else to.op(Concat, *row, axis=axis) for row in zip(*rows)]
    last = [to.reshaped(value, old.type) for value, old in zip(held, loop.close.results[-len(held) :])]
    for old_result, new_result in zip(loop.close.results, [*joined, *last], strict=True):
        to.bind(old_result, new_result)
        name_like(new_result, old_result)
    _record(loop, to.ops[start:], count, to)


def _inside(value: Value | None, inside: dict[Value, Value], to: Rewriter) -> Value | None:
    """The value of a frame's value now; one from outside is that of the new function."""
    return None if value is None else inside[value] if value in inside else to[value]


def _frames(value: Value, loop: Loop, count: int, to: Rewriter) -> list[Value]:
    return [value] if count == 1 else list(to.emit(Split, value, parts=count, axis=value.type.sequence))


def _start(state: ScanState, before: Value, to: Rewriter) -> Value:
    """The state before the first frame."""
    if state.start is not None:
        return to.reshaped(to[state.start], before.type)
    zeros = np.zeros(before.type.shape, np.float32)
    return to.op(Constant, value=zeros, dtype=before.type.dtype.value, roles=tuple(r.value for r in before.type.roles))


def _record(loop: Loop, made: Sequence[Op], count: int, to: Rewriter) -> None:
    change = f"one of {count} frames of a scan" if count > 1 else "a scan of one frame"
    for op in made:
        op.origin = op.origin.after(to.by, change)
    to.explain(loop.close, f"a scan over {count} frame(s): its {len(loop.ops)} ops once a frame")
