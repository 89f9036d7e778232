"""A loop over all its frames at once: each state in the form that its body allows, in the order of their needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from mctc.ir.loops import Loop
from mctc.ir.op import Op
from mctc.ir.ops.elementwise import Add, Mul
from mctc.ir.ops.loop import ScanState
from mctc.ir.ops.reduce import ReduceSum
from mctc.ir.ops.shape import Reshape
from mctc.ir.value import Value
from mctc.passes.linear_scan.affine import Affine, Blocked, Form, form_of
from mctc.passes.linear_scan.algebra import Term
from mctc.passes.linear_scan.chunks import Chain, decayed_in_chunks, largest_in_chunks
from mctc.passes.linear_scan.decays import ByProducts, BySums
from mctc.passes.linear_scan.frames import Frames, filled
from mctc.passes.linear_scan.matrix import Matrix, matrix_of
from mctc.passes.linear_scan.order import in_turn, part_of
from mctc.passes.linear_scan.readers import Readers, readers
from mctc.records import dataclass

Unroll = Callable[[Loop, Frames], None]
"""Emits a loop frame after frame, and tells its states behind every frame."""


@dataclass(frozen=True)
class Group:
    """States that are solved together. matrix: what a matrix of keys and values is made of, if the state is one."""

    states: tuple[ScanState, ...]
    form: Form
    matrix: Matrix | None = None

    @property
    def sequential(self) -> bool:
        ranked = isinstance(self.form, Affine) and bool(self.form.reads) and self.matrix is None
        return isinstance(self.form, Blocked) or ranked

    def why(self) -> str:
        names = " and ".join(state.state for state in self.states)
        if isinstance(self.form, Blocked):
            return f"{names} frame by frame, as {self.form.why}"
        if self.sequential:
            return f"{names} frame by frame, as what is read of it is no sum over keys"
        if self.matrix is not None:
            return f"{names} by pairs of frames" + (", with a term of rank one" if self.matrix.into is not None else "")
        if isinstance(self.form, Affine) and self.form.factor == 0:
            return f"{names} as it is written"
        return f"{names} by doubling"


@dataclass(frozen=True)
class Plan:
    """What is known of a loop before anything is emitted. uses: of the function that it is in."""

    loop: Loop
    uses: Mapping[Value, list[Op]]
    groups: tuple[Group, ...]
    readers: Readers

    @property
    def parallel(self) -> bool:
        return any(not group.sequential for group in self.groups)

    def why(self) -> str:
        return "; ".join(group.why() for group in self.groups)


def plan(loop: Loop, uses: Mapping[Value, list[Op]], kept: set[Value]) -> Plan:
    """The form of each state. uses, kept: of the function that the loop is in."""
    afters = dict(zip(loop.states, loop.close.parts[1]))
    groups: list[Group] = []
    for states in in_turn(loop):
        if len(states) > 1:
            groups.append(Group(states, Blocked("each depends on the other")))
            continue
        form = form_of(loop, states[0], afters[states[0]])
        groups.append(Group(states, form, matrix_of(states[0], form) if isinstance(form, Affine) else None))
    found = readers(loop, [*loop.close.parts[2], *_roots(loop, groups)], uses, kept)
    return Plan(loop, uses, tuple(groups), found)


def _roots(loop: Loop, groups: Sequence[Group]) -> list[Value]:
    """What the forms are computed of."""
    found: list[Term] = []
    for group in groups:
        form, matrix = group.form, group.matrix
        if group.sequential:
            found += part_of(loop, group.states).outer
        elif matrix is not None:
            found += [
                matrix.decay if matrix.log is None else matrix.log,
                *(each for pair in matrix.written for each in pair),
            ]
            found += [each for each in (matrix.into, matrix.of) if each is not None]
        elif isinstance(form, Affine):
            found += [form.factor, *_of_its_own(form.offset, loop)]
        elif not isinstance(form, Blocked):
            found += [form.shift, form.floor]
    return [value for value in found if isinstance(value, Value)]


def _of_its_own(offset: Term, loop: Loop) -> list[Value]:
    """What an offset is computed of, where it is all that is left in a state; else the offset."""
    if isinstance(offset, float):
        return []
    return list(offset.owner.present()) if offset in loop.close.parts[1] and offset.owner in loop.ops else [offset]


def solve(plan: Plan, frames: Frames, unroll: Unroll) -> dict[Value, Value]:
    """Emits the loop; the new values of the loop's results that are asked for. Sums that query a state become known to
    `frames`, which is asked for them."""
    loop, ends = plan.loop, dict[ScanState, Value]()
    afters = dict(zip(loop.states, loop.close.parts[1]))
    for group in plan.groups:
        if group.sequential:
            unroll(part_of(loop, group.states), frames)
        else:
            end = _solved(group, group.states[0], plan.readers, frames)
            if end is not None:
                ends[group.states[0]] = end
        for state in group.states:
            if state in frames.after:
                frames.bind(afters[state], frames.after[state])
    made: dict[Value, Value] = {}
    n = len(loop.states)
    for state, result, last in zip(loop.states, loop.close.results, loop.close.results[-n:]):
        if state in frames.after:
            made[result] = frames.after[state]
        end = ends[state] if state in ends else frames.last(frames.after[state])
        made[last] = frames.b.reshaped(end, last.type)
    others = zip(loop.close.parts[2], loop.close.results[n:])
    made.update((result, frames[value]) for value, result in others)
    return made


def _solved(group: Group, state: ScanState, found: Readers, frames: Frames) -> Value | None:
    """Emits one state: behind every frame where its entries are read, else what queries it; then its end."""
    b, like, form, matrix = frames.b, state.result.type, group.form, group.matrix
    if isinstance(form, Affine) and matrix is not None and (state not in found.held or form.reads):
        chain = _chain(matrix, state, frames)
        if state not in found.held:
            for op, (read, query, before) in found.queries.items():
                if read is state:
                    frames.bind_later(op.result, partial(_read, chain, op, query, before, frames))
            return chain.end
        drive = _drive(chain, state, frames)
        frames.after[state] = decayed_in_chunks(
            b, _factor(form.factor, frames), drive, frames.given(state), frames.halved
        )
    elif isinstance(form, Affine):
        drive = frames.tensor(form.offset, like)
        frames.after[state] = decayed_in_chunks(
            b, _factor(form.factor, frames), drive, frames.given(state), frames.halved
        )
    elif not isinstance(form, Blocked):
        shift, floor = (frames.tensor(term, like) for term in (form.shift, form.floor))
        frames.after[state] = largest_in_chunks(b, shift, floor, frames.start(state))
    return None


def _factor(factor: Term, frames: Frames) -> Value | float:
    return factor if isinstance(factor, float) else frames.timed(frames[factor])


def _chain(matrix: Matrix, state: ScanState, frames: Frames) -> Chain:
    b, like = frames.b, state.result.type
    known = matrix.decay if matrix.log is None else matrix.log
    if isinstance(known, float):
        narrow = like.with_extent(1, 1).with_extent(2, 1)
        decay = None if matrix.decay == 1 else filled(b, narrow, known)
    else:
        decay = frames.timed(frames[known])
    written = [(frames.timed(frames[key]), frames.timed(frames[value])) for key, value in matrix.written]
    rank_one = None
    if matrix.into is not None and matrix.of is not None:
        rank_one = frames.timed(frames[matrix.into]), frames.timed(frames[matrix.of])
    given = frames.given(state)
    if given is not None:
        axes = (("batch", 1), ("channel", 1), ("plain", like.shape[1]), ("plain", like.shape[2]))
        given = b.op(Reshape, given, axes=axes)
    return Chain(b, decay, ByProducts if matrix.log is None else BySums, written, rank_one, given)


def _drive(chain: Chain, state: ScanState, frames: Frames) -> Value:
    """What is written to a matrix in every frame, entry by entry."""
    b, (_, channels, features, count) = frames.b, state.result.type.shape
    total: Value | None = None
    role = state.result.type.axes[3].role.value
    for each in chain.written():
        key = b.op(Reshape, each.key, axes=(("batch", 1), ("channel", 1), ("feature", features), (role, count)))
        value = b.op(Reshape, each.value, axes=(("batch", 1), ("channel", channels), ("feature", 1), (role, count)))
        product = b.op(Mul, key, value)
        total = product if total is None else b.op(Add, total, product)
    assert total is not None
    return b.reshaped(total, state.result.type)


def _read(chain: Chain, op: ReduceSum, query: Value, before: int, frames: Frames) -> Value:
    return frames.b.reshaped(chain.read(frames.timed(frames[query]), before), op.result.type)
