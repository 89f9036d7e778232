"""Which ops lie with frames first: those around a selective scan that columns of few frames connect."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from mctc.ir.ops.convolution import Conv2d
from mctc.ir.ops.elementwise import Binary, Clip, Scale, Unary
from mctc.ir.ops.leaf import Leaf
from mctc.ir.ops.norm import LayerNorm, RmsNorm
from mctc.ir.ops.scan import SelectiveScan
from mctc.ir.ops.shape import Concat, Slice, Split
from mctc.ir.program import Function, Op, State, Value
from mctc.ir.types import Role
from mctc.passes.frame_rows.convolutions import is_along_frames, is_pointwise
from mctc.passes.frame_rows.layout import is_column, is_strip
from mctc.records import dataclass


@dataclass(frozen=True)
class Group:
    """ops: what is turned. known: values that are known when the model is compiled. made: results of `ops`. given:
    those of them that other ops or callers read as columns. states: those that only `ops` read and make."""

    ops: frozenset[Op]
    known: frozenset[Value]
    made: frozenset[Value]
    given: frozenset[Value]
    states: tuple[State, ...]


def find(function: Function, uses: dict[Value, list[Op]]) -> Group | None:
    """All groups of a function that have a scan of more than one frame, as one; None where there are none."""
    scans = [op for op in function.ops if isinstance(op, SelectiveScan) and turns(op)]
    if not scans:
        return None
    known = _known(function)
    turned = {op for op in function.ops if not isinstance(op, Leaf) and op.result not in known and turns(op)}
    ops = _reached(scans, turned, uses)
    _leave_wide(function, ops, uses)
    made = frozenset(value for op in ops for value in op.results if is_column(value.type))
    states = tuple(state for state in function.states if _is_inside(state, ops, made, uses, function))
    kept = {*(value for _, value in function.results), *(s.update for s in function.states if s not in states)}
    given = frozenset(v for v in made if v in kept or any(user not in ops for user in uses.get(v, ())))
    return Group(frozenset(ops), known, made, given, states)


def turns(op: Op) -> bool:
    """Whether an op can be done with frames first."""
    match op:
        case SelectiveScan(x=x):
            return is_column(x.type) and x.type.sequence == 3 and x.type.shape[3] > 1
        case Conv2d():
            return is_column(op.x.type) and is_column(op.result.type) and (is_pointwise(op) or is_along_frames(op))
        case LayerNorm(x=x) | RmsNorm(x=x):
            return is_column(x.type) and x.type.roles[1] is Role.CHANNEL
        case Concat() | Slice() | Split():
            return op.position in (1, 3) and all(is_column(value.type) for value in (*op.present(), *op.results))
        case Unary() | Scale() | Clip():
            return is_column(op.result.type)
        case Binary():
            met = all(is_column(value.type) or is_strip(value.type) for value in op.present())
            return is_column(op.result.type) and met
    return False


def _known(function: Function) -> frozenset[Value]:
    known = set[Value]()
    for op in function.ops:
        if isinstance(op, Leaf) or (op.operands and all(value in known for value in op.present())):
            known.update(op.results)
    return frozenset(known)


def _reached(scans: list[SelectiveScan], turned: set[Op], uses: dict[Value, list[Op]]) -> set[Op]:
    """What columns of several channels connect with a scan."""
    found, left = set[Op](scans), list[Op](scans)
    while left:
        op = left.pop()
        for other in _neighbours(op, uses):
            if other in turned and other not in found:
                found.add(other)
                left.append(other)
    return found


def _neighbours(op: Op, uses: dict[Value, list[Op]]) -> Iterator[Op]:
    for value in op.present():
        if value.owner is not None and is_column(value.type):
            yield value.owner
    for value in op.results:
        if is_column(value.type):
            yield from uses.get(value, ())


def _leave_wide(function: Function, ops: set[Op], uses: dict[Value, list[Op]]) -> None:
    """Takes out convolutions at the edges that have fewer channels on their inner side: less is turned there."""
    for op in function.ops:
        if isinstance(op, Conv2d) and op in ops and op.x.owner not in ops and _widths(op)[0] >= _widths(op)[1]:
            ops.discard(op)
    for op in reversed(function.ops):
        inside = isinstance(op, Conv2d) and op in ops
        if inside and ops.isdisjoint(uses.get(op.result, ())) and _widths(op)[1] >= _widths(op)[0]:
            ops.discard(op)


def _widths(op: Op) -> tuple[int, int]:
    return next(op.present()).type.shape[1], op.result.type.shape[1]


def _is_inside(
    state: State, ops: set[Op], made: frozenset[Value], uses: dict[Value, list[Op]], function: Function
) -> bool:
    """Whether a state may be kept with frames first: nothing else reads it or what becomes it."""
    users = defaultdict[Value, int](int)
    for value in function.outputs:
        users[value] += 1
    readers = uses.get(state.value, [])
    return (
        is_column(state.value.type) and bool(readers) and ops.issuperset(readers) and state.value not in users
        and state.update in made and ops.issuperset(uses.get(state.update, ())) and users[state.update] == 1
    )  # fmt: skip
