"""The states of a loop in the order in which they can be solved: each after those that it is computed of."""

from __future__ import annotations

from collections.abc import Iterable

from mctc.ir.build import make
from mctc.ir.loops import Loop
from mctc.ir.op import Op
from mctc.ir.ops.loop import Scan, ScanState
from mctc.ir.value import Value


def in_turn(loop: Loop) -> list[tuple[ScanState, ...]]:
    """Groups of states: those of a group depend on one another, and on groups before it alone."""
    reach = {state: _states_behind(loop, after) for state, after in zip(loop.states, loop.close.parts[1])}
    for middle in loop.states:  # transitive
        for state in loop.states:
            if middle in reach[state]:
                reach[state] |= reach[middle]
    groups: list[tuple[ScanState, ...]] = []
    for state in sorted(loop.states, key=lambda s: (len(reach[s]), loop.states.index(s))):
        if not any(state in group for group in groups):
            mates = (other for other in loop.states if other in reach[state] and state in reach[other])
            groups.append(tuple(dict.fromkeys((state, *mates))))
    return groups


def _states_behind(loop: Loop, value: Value) -> set[ScanState]:
    """The states whose values before a frame a value is computed of."""
    seen, found, waiting = set[Value](), set[ScanState](), [value]
    inside = set(loop.ops)
    while waiting:
        value = waiting.pop()
        owner = value.owner
        if value in seen or owner is None:
            continue
        seen.add(value)
        if isinstance(owner, ScanState) and owner in loop.states:
            found.add(owner)
        elif owner in inside:
            waiting += owner.present()
    return found


def part_of(loop: Loop, states: Iterable[ScanState]) -> Loop:
    """The loop of some states alone, closed by a scan that belongs to no function: what their next values are computed
    of and depends on them. All else comes from outside, the values of other states too."""
    states = tuple(states)
    after = [new for state, new in zip(loop.states, loop.close.parts[1]) if state in states]
    moving = {state.result for state in states}
    depends: list[Op] = []
    for op in loop.ops:
        if moving.intersection(op.present()):
            depends.append(op)
            moving.update(op.results)
    needed, kept = set(after), list[Op]()
    for op in reversed(depends):
        if needed.intersection(op.results):
            kept.append(op)
            needed.update(op.present())
    before = [state.result for state in states]
    close = make(Scan, [*before, *after], {"states": len(states)}, loop.close.origin)
    assert isinstance(close, Scan)
    return Loop(states, tuple(kept[::-1]), close)
