"""Walking a function from op to op, always with a bound on how far."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from mctc.linter.coreml.graph import Op

VIEWS = frozenset(("reshape", "transpose", "expand_dims", "squeeze", "cast", "identity"))
"""Ops that pass their values on as they are (a cast in another element type)."""
FAR = 24
"""Ops that a walk looks at, unless told otherwise."""
WIDE = 16
"""Neighbours of one op that a walk follows."""


def before(op: Op, through: Collection[str], limit: int = FAR) -> Iterator[Op]:
    """The ops that an op's operands come from, nearest first: makers, and what lies behind those of types `through`."""
    return _walk(op, Op.producers, through, limit)


def after(op: Op, through: Collection[str], limit: int = FAR) -> Iterator[Op]:
    """The ops that an op's results go to, nearest first: users, and what lies behind those of types `through`."""
    return _walk(op, Op.users, through, limit)


def behind_views(op: Op, operand: str, through: Collection[str] = VIEWS, limit: int = 8) -> Op | None:
    """The op that makes an operand, past views of one operand; None for inputs and constants."""
    made = op.producer(operand)
    for _ in range(limit):
        if made is None or made.type not in through:
            break
        made = made.producer("x")
    return made


def _walk(op: Op, neighbours: Callable[[Op], Iterable[Op]], through: Collection[str], limit: int) -> Iterator[Op]:
    waiting = deque(_first(neighbours(op)))
    seen: set[Op] = set()
    while waiting and len(seen) < limit:
        found = waiting.popleft()
        if found in seen:
            continue
        seen.add(found)
        yield found
        if found.type in through:
            waiting.extend(_first(neighbours(found)))


def _first(ops: Iterable[Op]) -> Iterator[Op]:
    for _, op in zip(range(WIDE), ops):
        yield op


def connected(ops: Sequence[Op]) -> Iterator[list[Op]]:
    """Ops in groups that pass values to one another, each in the order of the program."""
    left = dict.fromkeys(ops)
    for first in ops:
        if first not in left:
            continue
        del left[first]
        group = [first]
        for op in group:  # grows while it is walked
            near = [other for other in (*op.producers(), *op.users()) if other in left]
            for other in dict.fromkeys(near):
                del left[other]
                group.append(other)
        yield sorted(group, key=lambda each: each.position)
