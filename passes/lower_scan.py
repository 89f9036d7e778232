"""Recurrences of the author's own: all frames at once where the body is linear in a state, else frame after frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

from mctc.ir.build import Builder
from mctc.ir.loops import Loop, frame_of, in_order
from mctc.ir.ops.leaf import Leaf
from mctc.ir.ops.loop import Scan
from mctc.ir.ops.reduce import ReduceSum
from mctc.ir.ops.shape import Concat, Split
from mctc.ir.program import Function, Op, Program, State, Value, name_like
from mctc.records import dataclass
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.options import option
from mctc.rewrite.rewriter import Rewriter, rewrite_functions

if TYPE_CHECKING:
    from mctc.passes.linear_scan.cost import Choice
    from mctc.passes.linear_scan.frames import Frames


@dataclass(frozen=True)
class LowerScan(Pass):
    """Lowers a `scan` to static ops. No device has a loop that keeps its ops on the Neural Engine.

    What depends on no state is computed for all frames of a call at once. So is a state in which the body is linear: by
    doubling, or, of a matrix of keys and values that queries read, by products over pairs of frames. Any other state
    has the ops that it depends on once a frame. Where both can be, cost decides, or `form`.
    """

    name = "lower-scan"
    promise = Exact()
    stage = "deploy"
    before = ("lower-rnn", "lower-attention", "lower-selective-scan", "fold-state-reshapes", "pack-states")

    form: Literal["parallel", "unrolled"] | None = option(None, "the form of every scan; none lets cost decide")

    def run(self, program: Program, context: Context) -> Program:
        def rebuild(new: Program, function: Function) -> Function:
            if not any(isinstance(op, Scan) for op in function.ops):
                return function
            return _Lowering(function, Rewriter(new, function, self.name, context), self.form).run()

        return rewrite_functions(program, rebuild)


class _Lowering:
    """A function while its scans are lowered. later: sums behind a loop that query a state of it, and how each is made;
    products that only such a sum reads are left out."""

    def __init__(self, function: Function, to: Rewriter, form: str | None) -> None:
        self.function, self.to, self.form = function, to, form
        self.later: dict[ReduceSum, Callable[[], Value]] = {}
        self.left_out: set[Op] = set()

    def run(self) -> Function:
        function, to = self.function, self.to
        for value in (*function.inputs, *(state.value for state in function.states)):
            to.bind(value, value)
        for item in in_order(function.ops):
            if isinstance(item, Loop):
                self._loop(item)
            elif item not in self.left_out:
                to.visit(item, self._behind)
        to.origin = function.origin
        return to.rebuilt([State(s.name, to[s.value], to[s.update]) for s in function.states])

    def _behind(self, op: Op, to: Rewriter) -> Value | None:
        return self.later[op]() if isinstance(op, ReduceSum) and op in self.later else None

    def _loop(self, loop: Loop) -> None:
        to = self.to
        if not loop.frames.is_static:
            to.refuse(loop.close, f"{loop.frames} is no known number of frames")
            for op in (*loop.states, *loop.ops, loop.close):
                to.visit(op, self._behind)
            return
        from mctc.passes.linear_scan.cost import choose  # most programs have no loop
        from mctc.passes.linear_scan.frames import Frames
        from mctc.passes.linear_scan.parallel import plan, solve

        halved = to.context.precision == "fp16"
        start, frames = len(to.ops), Frames(to, loop, to.known, halved)
        to.origin = loop.close.origin
        chosen = choose(plan(loop, to.uses, to.kept), self.form, _unrolled, halved)
        made = solve(chosen.plan, frames, _unrolled)
        for old in loop.close.results:
            if old in made:
                to.bind(old, made[old])
                name_like(made[old], old)
        for op in chosen.plan.readers.queries:
            if frames.makes(op.result) and op not in loop.ops:
                self.later[op] = partial(frames.__getitem__, op.result)
                self.left_out.update(value.owner for value in op.present() if value.owner is not None)
        self._record(loop, chosen, to.ops[start:])

    def _record(self, loop: Loop, chosen: Choice, made: Sequence[Op]) -> None:
        count = loop.frames.value
        how = "" if chosen.plan.parallel else f"one of {count} frames of " if count > 1 else "one frame of "
        for op in made:
            if not isinstance(op, Leaf):
                op.origin = op.origin.after(self.to.by, f"{how}a scan over {count} frames")
        self.to.explain(loop.close, f"a scan over {count} frame(s): {chosen.why}")


def _unrolled(loop: Loop, frames: Frames) -> None:
    """The ops of one frame for each frame, on slices of what has frames."""
    frame, count, b = frame_of(loop), loop.frames.value, frames.b
    axis = loop.states[0].result.type.sequence
    sliced = {
        new: [frames[old]] if count == 1 else list(b.emit(Split, frames[old], parts=count, axis=new.type.sequence))
        for old, new in frame.taken.items()
        if new is not old
    }
    held = [b.reshaped(frames.start(state), value.type) for state, value in zip(loop.states, frame.before)]
    rows: list[list[Value]] = []
    for t in range(count):
        inside = {new: parts[t] for new, parts in sliced.items()}
        inside.update(zip(frame.before, held, strict=True))
        for op in frame.ops:
            operands = (_inside(value, inside, frames) for value in op.operands)
            inside.update(zip(op.results, _emitted(op, operands, b), strict=True))
        held = [inside[value] if value in inside else frames[value] for value in frame.after]
        rows.append(held)
    for state, row in zip(loop.states, zip(*rows)):
        frames.after[state] = row[0] if count == 1 else b.op(Concat, *row, axis=axis)


def _emitted(op: Op, operands: Iterable[Value | None], b: Builder) -> tuple[Value, ...]:
    return b.emit(type(op), *operands, **op.attributes)


def _inside(value: Value | None, inside: dict[Value, Value], frames: Frames) -> Value | None:
    """The value of a frame's value now; one from outside is what it is over all frames."""
    return None if value is None else inside[value] if value in inside else frames[value]
