"""Lookups that are the caller's work: an artifact takes rows of a table where the program takes ids.

`embedding` ops marked `host` stay in the program, so it means what it meant. A target that leaves the lookup to its
caller writes functions of `device_inputs` and `device_ops`, and the tables beside them (mctc.driver.tables).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mctc.ir.islands import computes_wide
from mctc.ir.op import Array
from mctc.ir.ops.leaf import Constant, Leaf, parameter_of
from mctc.ir.ops.linear import Embedding
from mctc.ir.program import Function, Op, Program, Value
from mctc.ir.types import Role
from mctc.records import dataclass


@dataclass(frozen=True)
class Lookup:
    """`rows` [..., channel, ...] are rows of a table [entries, width] by the ids of an input: of parameter `table`, or
    of the numbers `constant`, whose table is called by the lookup's place and the input."""

    op: Op
    rows: Value
    table: str
    constant: Array | None = None


def lookups(function: Function) -> dict[Value, Lookup]:
    """The lookups that are left to the caller, by the input whose ids they take."""
    found: dict[Value, Lookup] = {}
    for op in function.ops:
        if isinstance(op, Embedding) and op.host and reason_against(op, function) is None:
            maker = op.table.owner
            if isinstance(maker, Constant):
                name = f"{op.origin.path or function.name}.{op.token.name}"
                found[op.token] = Lookup(op, op.result, name, np.asarray(maker.value))
            else:
                found[op.token] = Lookup(op, op.result, parameter_of(op.table))
    return found


def wide_rows(program: Program, function: Function) -> frozenset[Value]:
    """The rows that a caller looks up in fp32: of parameters that a `quantize` rule stores so, and of numbers that an
    op in such a part reads."""

    def is_wide(lookup: Lookup) -> bool:
        return program.parameters[lookup.table].wide if lookup.constant is None else computes_wide(program, lookup.op)

    return frozenset(lookup.rows for lookup in lookups(function).values() if is_wide(lookup))


def reason_against(op: Embedding, function: Function) -> str | None:
    """Why a lookup can't be left to who calls the function; None where it can."""
    token = op.token
    if token not in function.inputs:
        return "its ids are computed"
    if function.uses()[token] != [op] or token in function.outputs:
        return "other ops use the ids too"
    if not isinstance(op.table.owner, Leaf):
        return "its table is computed"
    if Role.UNIT not in token.type.roles:
        return f"{token.type} has no place for channels"
    return "it is all that the function does" if op.result in function.outputs else None


def device_inputs(function: Function) -> list[tuple[str, Value]]:
    """The inputs that an artifact takes, by the names of the program's."""
    left = lookups(function)
    return [(value.name, left[value].rows if value in left else value) for value in function.inputs]


def device_ops(function: Function) -> Iterator[Op]:
    """The ops that an artifact does: without lookups and the tables that nothing else reads."""
    left = {lookup.op for lookup in lookups(function).values()}
    read = {operand for op in function.ops if op not in left for operand in op.operands}
    for op in function.ops:
        unread = isinstance(op, Leaf) and op.result not in read and op.result not in function.outputs
        if op not in left and not (left and unread):
            yield op
