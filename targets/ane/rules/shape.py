"""Ops that move data."""

from __future__ import annotations

import numpy as np

from mctc.build.names import place
from mctc.ir.op import axis_position
from mctc.ir.program import Op, Value
from mctc.targets.ane.errors import EmitError
from mctc.targets.ane.function import FunctionEmitter, Operand, Rule


def _x(op: Op) -> Value:
    value = op.operands[0]
    assert value is not None
    return value


def _split(op: Op, e: FunctionEmitter) -> None:
    axis, x = op.signature.axis("x"), _x(op)
    sizes = [value.type.shape[axis] for value in op.results]
    if len(sizes) == 1:
        e.emit(op, "identity", {"x": x})
    elif len(set(sizes)) == 1:
        e.emit(op, "split", {"x": x, "num_splits": len(sizes), "axis": axis})
    else:
        e.emit(op, "split", {"x": x, "split_sizes": sizes, "axis": axis})


def _concat(op: Op, e: FunctionEmitter) -> None:
    parts = [value for value in op.operands if value is not None]
    axis = axis_position(parts[0].type, op.attributes["axis"], "xs")
    e.emit(op, "concat", {"values": parts, "axis": axis, "interleave": False})


def _slice(op: Op, e: FunctionEmitter) -> None:
    s, x = op.signature, _x(op)
    axis, shape = s.axis("x"), list(x.type.shape)
    begin, end = [0] * len(shape), list(shape)
    begin[axis] = s.int("begin")
    end[axis] = shape[axis] if s.attribute("end") is None else s.int("end")
    inputs: dict[str, Operand] = {"x": x, "begin": begin, "end": end}
    if s.int("stride") != 1:
        stride = [1] * len(shape)
        stride[axis] = s.int("stride")
        inputs["stride"] = stride
    e.emit(op, "slice_by_index", inputs)


def _pad(op: Op, e: FunctionEmitter) -> None:
    s, x = op.signature, _x(op)
    pad = [0] * (2 * x.type.rank)
    pad[2 * s.axis("x")], pad[2 * s.axis("x") + 1] = s.int("before"), s.int("after")
    e.emit(op, "pad", {"x": x, "pad": pad, "mode": "constant", "constant_val": s.float("value")})


def _reshape(op: Op, e: FunctionEmitter) -> None:
    if op.result.type.rank > 5:
        raise EmitError(f"{place(op)}: {op.result.type} has {op.result.type.rank} axes, Core ML's limit is 5")
    if op.result.type.shape == _x(op).type.shape and not e.is_output(op.result):
        e.alias(op.result, e.ref(_x(op)))  # only the roles of the axes change
        return
    if op.result.type.rank == 0:  # a list of no extents has no element type
        e.emit(op, "squeeze", {"x": _x(op), "axes": list(range(_x(op).type.rank))})
        return
    e.emit(op, "reshape", {"x": _x(op), "shape": op.result.type.shape})


def _regroup(op: Op, e: FunctionEmitter) -> None:
    """split_channels and merge_channels where they keep the row-major order of entries, as laid-out types do."""
    marks = np.arange(_x(op).type.size).reshape(_x(op).type.shape)
    (moved,) = op.definition.reference(op.signature, marks)
    if not np.array_equal(np.asarray(moved).ravel(), marks.ravel()):
        raise EmitError(f"{place(op)}: on {_x(op).type} it moves entries, which takes a transpose")
    _reshape(op, e)


def _transpose(op: Op, e: FunctionEmitter) -> None:
    e.emit(op, "transpose", {"x": _x(op), "perm": op.signature.ints("order")})


def _reverse(op: Op, e: FunctionEmitter) -> None:
    e.emit(op, "reverse", {"x": _x(op), "axes": [op.signature.axis("x")]})


RULES: dict[str, Rule] = {
    "split": _split,
    "concat": _concat,
    "slice": _slice,
    "pad": _pad,
    "reshape": _reshape,
    "split_channels": _regroup,
    "merge_channels": _regroup,
    "transpose": _transpose,
    "reverse": _reverse,
}
