"""A step of several streams: its `valid` has a row for each."""

from __future__ import annotations

from mctc.ir.dims import Extent
from mctc.ir.ops.shape import Concat, Reshape, Slice
from mctc.ir.program import Function, Op, Program, Value
from mctc.ir.types import Axis, Role
from mctc.rewrite.pattern import Outcome
from mctc.rewrite.rewriter import Rewriter
from mctc.streaming.context import VALID

BEFORE = 3  # axes before the frames: (batch, 1, 1, frames)


def by_stream(program: Program, function: Function) -> Function:
    """The function with `valid`, [frames] as it is derived, as (batch, 1, 1, frames); itself where it takes none."""
    valid = valid_input(function)
    batch = next((axis for value in function.inputs for axis in value.type.axes if axis.role is Role.BATCH), None)
    if valid is None or batch is None or valid.type.rank != 1:
        return function
    rows = _rows(function, valid)
    rebuilt = Rewriter(program, function, "streams")
    unit = Axis(Role.UNIT, Extent.of(1))
    for value in (*function.inputs, *(state.value for state in function.states)):
        type_ = value.type
        if value in rows:
            rebuilt.bind(value, Value(type_.with_axes((batch, unit, unit, *type_.axes)), value.name))

    def rule(op: Op, rewriter: Rewriter) -> Outcome:
        if not isinstance(op, (Slice, Concat, Reshape)) or op.results[0] not in rows:
            return None
        if isinstance(op, Reshape):
            before = ((batch.role.value, batch.extent), *((unit.role.value, unit.extent),) * (BEFORE - 1))
            return rewriter.emit(Reshape, *rewriter.operands(op), axes=(*before, *op.axes))
        return rewriter.emit(type(op), *rewriter.operands(op), **{**op.attributes, "axis": op.position + BEFORE})

    return rebuilt.rebuild(rule)


def valid_input(function: Function) -> Value | None:
    """The input of a step that says which frames exist."""
    return next((value for value in function.inputs if value.name == VALID), None)


def _rows(function: Function, valid: Value) -> set[Value]:
    """What is made of valid frames alone: values [frames], the states that hold some of them, and several of each frame
    side by side."""
    rows = {valid}
    for op in function.ops:
        alike = [value for value in op.operands if value is not None and value.type.rank == 1]
        if op.results[0].type.rank == 1 and rows & set(alike):
            rows |= {*op.results, *alike}
        elif isinstance(op, (Reshape, Concat)) and rows.issuperset(op.present()):
            rows |= {*op.results}
    return rows
