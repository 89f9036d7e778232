"""Ops that move data."""

from __future__ import annotations

import numpy as np

from mctc.driver.names import place
from mctc.ir.ops.shape import Concat, MergeChannels, Pad, Reshape, Reverse, Slice, Split, SplitChannels, Transpose
from mctc.targets.ane.errors import EmitError
from mctc.targets.ane.function import FunctionEmitter, Operand, Rule


def _split(op: Split, e: FunctionEmitter) -> None:
    axis, x = op.position, op.x
    sizes = [value.type.shape[axis] for value in op.results]
    if len(sizes) == 1:
        e.emit(op, "identity", {"x": x})
    elif len(set(sizes)) == 1:
        e.emit(op, "split", {"x": x, "num_splits": len(sizes), "axis": axis})
    else:
        e.emit(op, "split", {"x": x, "split_sizes": sizes, "axis": axis})


def _concat(op: Concat, e: FunctionEmitter) -> None:
    e.emit(op, "concat", {"values": list(op.xs), "axis": op.position, "interleave": False})


def _slice(op: Slice, e: FunctionEmitter) -> None:
    x, axis = op.x, op.position
    shape = list(x.type.shape)
    begin, end = [0] * len(shape), list(shape)
    begin[axis] = op.begin
    end[axis] = shape[axis] if op.end is None else op.end
    inputs: dict[str, Operand] = {"x": x, "begin": begin, "end": end}
    if op.stride != 1:
        stride = [1] * len(shape)
        stride[axis] = op.stride
        inputs["stride"] = stride
    e.emit(op, "slice_by_index", inputs)


def _pad(op: Pad, e: FunctionEmitter) -> None:
    x = op.x
    pad = [0] * (2 * x.type.rank)
    pad[2 * op.position], pad[2 * op.position + 1] = op.before, op.after
    e.emit(op, "pad", {"x": x, "pad": pad, "mode": "constant", "constant_val": op.value})


def _reshape(op: Reshape | SplitChannels | MergeChannels, e: FunctionEmitter) -> None:
    if op.result.type.rank > 5:
        raise EmitError(f"{place(op)}: {op.result.type} has {op.result.type.rank} axes, Core ML's limit is 5")
    if op.result.type.shape == op.x.type.shape and not e.is_output(op.result):
        e.alias(op.result, e.ref(op.x))  # only the roles of the axes change
        return
    if op.result.type.rank == 0:  # a list of no extents has no element type
        e.emit(op, "squeeze", {"x": op.x, "axes": list(range(op.x.type.rank))})
        return
    e.emit(op, "reshape", {"x": op.x, "shape": op.result.type.shape})


def _regroup(op: SplitChannels | MergeChannels, e: FunctionEmitter) -> None:
    """split_channels and merge_channels where they keep the row-major order of entries, as laid-out types do."""
    marks = np.arange(op.x.type.size).reshape(op.x.type.shape)
    (moved,) = op.reference(marks)
    if not np.array_equal(np.asarray(moved).ravel(), marks.ravel()):
        raise EmitError(f"{place(op)}: on {op.x.type} it moves entries, which takes a transpose")
    _reshape(op, e)


def _transpose(op: Transpose, e: FunctionEmitter) -> None:
    e.emit(op, "transpose", {"x": op.x, "perm": op.order})


def _reverse(op: Reverse, e: FunctionEmitter) -> None:
    e.emit(op, "reverse", {"x": op.x, "axes": [op.position]})


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
