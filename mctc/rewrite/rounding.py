"""The promise of a pass that rounds numbers: the same ops, and every number where fp16 has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mctc.ir.ops.leaf import Constant
from mctc.ir.program import Function, Op, Value

LARGEST = 65504.0
STEP = 2.0**-11  # half of the last of 11 significant bits
LEAST = 2.0**-24  # the last bit of fp16's smallest numbers
TINIEST = 2.0**-40  # an epsilon below may be this one


class DifferenceError(Exception):
    """Two functions that differ in more than their numbers; names the op."""


def rounding(before: Function, after: Function) -> float:
    """The largest relative change of a number that fp16 can hold, which is at most STEP. Raises DifferenceError."""
    if len(before.ops) != len(after.ops):
        raise DifferenceError(f"{len(before.ops)} ops became {len(after.ops)}")
    named = dict(zip(before.inputs, after.inputs))
    named |= {old.value: new.value for old, new in zip(before.states, after.states)}
    worst = 0.0
    for old, new in zip(before.ops, after.ops):
        _same(old, new, named)
        worst = max([worst, *(_change(old, *pair) for pair in _numbers(old, new))])
        named |= dict(zip(old.results, new.results))
    if [named[value] for value in before.outputs] != after.outputs:
        raise DifferenceError("the results are others")
    return worst


def _same(old: Op, new: Op, named: dict[Value, Value]) -> None:
    rest = [name for name in old.attributes if name not in (*old.numbers, *_held(old))]
    same = (
        old.name == new.name
        and [v and named[v] for v in old.operands] == list(new.operands)
        and [v.type for v in old.results] == [v.type for v in new.results]
        and all(old.attributes[name] == new.attributes[name] for name in rest)
    )
    if not same:
        raise DifferenceError(f"{old.name} at {old.origin.location or old.origin.path} became another op")


def _held(op: Op) -> tuple[str, ...]:
    return ("value",) if isinstance(op, Constant) else ()


def _numbers(old: Op, new: Op) -> Iterator[tuple[Any, Any]]:
    for name in old.numbers:
        yield old.number(name), new.number(name)
    if isinstance(old, Constant) and isinstance(new, Constant):
        yield old.value, new.value


def _change(op: Op, old: Any, new: Any) -> float:
    """The relative change of numbers in fp16's range. Raises DifferenceError where one is not a rounding."""
    a, b = np.asarray(old, np.float64), np.asarray(new, np.float64)
    size = np.abs(a)
    near = np.abs(a - b) <= np.maximum(STEP * size, LEAST / 2)
    brought = (size > LARGEST) & (np.abs(b) <= LARGEST) & (np.sign(a) == np.sign(b))
    raised = (size < TINIEST) & (b == TINIEST)
    if not (near | brought | raised).all():
        raise DifferenceError(
            f"{op.name} at {op.origin.location or op.origin.path}: {old} became {new}, which is no rounding"
        )
    ordinary = (size >= 2.0**-14) & (size <= LARGEST)
    return float((np.abs(a - b)[ordinary] / size[ordinary]).max(initial=0.0))
