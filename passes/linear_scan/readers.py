"""Who reads a state of a loop: by queries alone, or entry by entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field

from mctc.ir.loops import Loop
from mctc.ir.op import Op
from mctc.ir.ops.loop import ScanState
from mctc.ir.ops.reduce import ReduceSum
from mctc.ir.value import Value
from mctc.passes.linear_scan.matrix import query_of
from mctc.records import dataclass


@dataclass
class Readers:
    """queries: sums that are a query of a state behind a frame (0) or before it (1). held: states whose entries are
    read otherwise."""

    queries: dict[ReduceSum, tuple[ScanState, Value, int]] = field(default_factory=dict)
    held: set[ScanState] = field(default_factory=set)


def readers(loop: Loop, roots: Iterable[Value], uses: Mapping[Value, list[Op]], kept: set[Value]) -> Readers:
    """Of all states of a loop, where `roots` are computed of values of it (in the loop, or of no function).

    uses, kept: of the function, for what reads the results of the loop behind it.
    """
    found = Readers()
    known = _states(loop)
    waiting, seen = list(roots), set[Value]()
    for state, result in zip(loop.states, loop.close.results):
        if result in kept:
            found.held.add(state)
        for user in uses.get(result, []):
            behind = _behind(user, result, uses, kept)
            if behind is None:
                found.held.add(state)
            else:
                found.queries[behind[0]] = state, behind[1], 0
    inside = set(loop.ops)
    while waiting:
        value = waiting.pop()
        owner = value.owner
        if value in seen or owner is None:
            continue
        seen.add(value)
        if value in known:
            found.held.update(state for state, _ in known[value])
            continue
        if owner not in inside and not _is_made(value, uses):
            continue
        asked = _query(owner, known) if isinstance(owner, ReduceSum) else None
        if asked is not None and isinstance(owner, ReduceSum):
            found.queries[owner] = asked
            waiting.append(asked[1])
        else:
            waiting += owner.present()
    return found


Known = Mapping[Value, list[tuple[ScanState, int]]]


def _states(loop: Loop) -> Known:
    """The values in the loop that states have behind a frame (0) and before it (1)."""
    known: dict[Value, list[tuple[ScanState, int]]] = {}
    for state, after in zip(loop.states, loop.close.parts[1]):
        known.setdefault(after, []).append((state, 0))
        known.setdefault(state.result, []).append((state, 1))
    return known


def _query(op: ReduceSum, known: Known) -> tuple[ScanState, Value, int] | None:
    product = op.x.owner
    for held in () if product is None else product.present():
        query = query_of(op, held)
        if query is not None and len(known.get(held, ())) == 1:
            state, before = known[held][0]
            return state, query, before
    return None


def _behind(
    user: Op, result: Value, uses: Mapping[Value, list[Op]], kept: set[Value]
) -> tuple[ReduceSum, Value] | None:
    """The sum behind the loop that makes a query of a result, and the query."""
    products = user.results
    if len(products) != 1 or products[0] in kept or len(uses.get(products[0], [])) != 1:
        return None
    summed = uses[products[0]][0]
    query = query_of(summed, result) if isinstance(summed, ReduceSum) and summed.x is products[0] else None
    return None if query is None or not isinstance(summed, ReduceSum) else (summed, query)


def _is_made(value: Value, uses: Mapping[Value, list[Op]]) -> bool:
    """Whether a value belongs to no function."""
    return value not in uses
