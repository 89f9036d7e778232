"""Frame after frame, or all at once: what each takes, by the cost model of mctc/hardware/cost.py."""

from __future__ import annotations

from dataclasses import replace

from mctc.hardware.cost import READINGS, Shaped, totals
from mctc.ir.build import Builder
from mctc.ir.loops import frame_of
from mctc.ir.op import Op
from mctc.ir.ops.leaf import Leaf
from mctc.ir.program import Program, Value
from mctc.passes.linear_scan.affine import Blocked
from mctc.passes.linear_scan.frames import Frames
from mctc.passes.linear_scan.parallel import Group, Plan, Unroll, solve
from mctc.passes.linear_scan.readers import Readers
from mctc.passes.selective_scan.cost import shaped
from mctc.records import dataclass


@dataclass(frozen=True)
class Choice:
    """The plan that is taken, and why."""

    plan: Plan
    why: str


@dataclass(frozen=True)
class _Priced:
    name: str
    ops: int
    microseconds: tuple[float, ...]

    def beats(self, other: _Priced) -> bool:
        return all(a <= b for a, b in zip(self.microseconds, other.microseconds))

    def __str__(self) -> str:
        return f"{self.name}: {self.ops} ops, {', '.join(f'{us:.0f}' for us in self.microseconds)} us"


def choose(plan: Plan, form: str | None, unroll: Unroll, halved: bool = False) -> Choice:
    """All at once where that takes no longer under any reading, frame after frame where that does; else what has fewer
    ops, which are what a small state costs. One frame has one form."""
    loop = plan.loop
    sequential = _sequential(plan)
    if loop.frames.value == 1 or not plan.parallel:
        return Choice(sequential, sequential.why() if loop.frames.value == 1 else plan.why())
    if form is not None:
        taken = plan if form == "parallel" else sequential
        return Choice(taken, f"{form} as asked for: {taken.why()}")
    at_once, in_turn = _at_once(plan, unroll, halved), _in_turn(plan)
    better = at_once.beats(in_turn), in_turn.beats(at_once)
    taken = plan if better[0] or (not better[1] and at_once.ops <= in_turn.ops) else sequential
    sure = "least under every reading" if any(better) else "doubtful, so the fewer ops"
    names = " / ".join(reading.name for reading in READINGS)
    return Choice(taken, f"{taken.why()}, {sure} ({names}): {at_once}; {in_turn}")


def _sequential(plan: Plan) -> Plan:
    """The plan with all states frame by frame."""
    group = Group(plan.loop.states, Blocked("that takes less"))
    return replace(plan, groups=(group,), readers=Readers({}, set(plan.loop.states)))


def _at_once(plan: Plan, unroll: Unroll, halved: bool) -> _Priced:
    """The ops of a plan, emitted into a program of their own, with the sums that query its states."""
    b = Builder(Program("scan"))
    inside = {*plan.loop.ops, *plan.loop.states}

    def known(value: Value) -> Value | None:
        """Values of the function that are computed outside of the loop stand for themselves."""
        return value if value.owner is None or (value in plan.uses and value.owner not in inside) else None

    frames = Frames(b, plan.loop, known, halved)
    solve(plan, frames, unroll)
    for op in plan.readers.queries:
        if frames.makes(op.result):
            frames[op.result]  # emits it
    return _priced("all at once", b.ops, _numbers(b.ops))


def _in_turn(plan: Plan) -> _Priced:
    """One frame's ops as often as there are frames, cut and joined, and what behind the loop queries a state."""
    loop, count = plan.loop, plan.loop.frames.value
    frame = frame_of(loop)
    known = _numbers(frame.ops)
    once = shaped(frame.ops, known)
    whole = [_moved("split", old) for old, new in frame.taken.items() if new is not old]
    whole += [_moved("concat", value) for value in loop.close.results[: -len(loop.states)]]
    behind = [op for op in plan.readers.queries if op not in loop.ops]
    products = [value.owner for op in behind for value in op.present() if value.owner is not None]
    ops = [*whole, *once * count, *shaped([*products, *behind], set())]
    return _Priced("frame by frame", len(ops), totals(ops))


def _moved(kind: str, value: Value) -> Shaped:
    return Shaped(kind, (value.type.shape,), (), (value.type.shape,))


def _numbers(ops: list[Op] | tuple[Op, ...]) -> set[Value]:
    """Values that are known when the model is compiled."""
    return {value for op in ops for value in op.present() if isinstance(value.owner, Leaf)}


def _priced(name: str, ops: list[Op], known: set[Value]) -> _Priced:
    found = shaped(ops, known)
    return _Priced(name, len(found), totals(found))
