"""Ops that move data."""

from __future__ import annotations

from mctc.emit.laid_out import bounds_of, check_order_kept, check_rank, pad_widths
from mctc.emit.rules import Rules
from mctc.ir.ops.shape import (
    Concat,
    MergeChannels,
    Pad,
    Regrouping,
    Reshape,
    Reverse,
    Slice,
    Split,
    SplitChannels,
    Transpose,
)
from mctc.targets.ane.function import FunctionEmitter, Operand

RULES = Rules[FunctionEmitter, None]()


@RULES.of(Split)
def _split(op: Split, e: FunctionEmitter) -> None:
    axis, x = op.position, op.x
    sizes = [value.type.shape[axis] for value in op.results]
    if len(sizes) == 1:
        e.emit(op, "identity", {"x": x})
    elif len(set(sizes)) == 1:
        e.emit(op, "split", {"x": x, "num_splits": len(sizes), "axis": axis})
    else:
        e.emit(op, "split", {"x": x, "split_sizes": sizes, "axis": axis})


@RULES.of(Concat)
def _concat(op: Concat, e: FunctionEmitter) -> None:
    e.emit(op, "concat", {"values": list(op.xs), "axis": op.position, "interleave": False})


@RULES.of(Slice)
def _slice(op: Slice, e: FunctionEmitter) -> None:
    bounds = bounds_of(op)
    inputs: dict[str, Operand] = {"x": op.x, "begin": bounds.begin, "end": bounds.end}
    if op.stride != 1:
        inputs["stride"] = bounds.stride
    e.emit(op, "slice_by_index", inputs)


@RULES.of(Pad)
def _pad(op: Pad, e: FunctionEmitter) -> None:
    e.emit(op, "pad", {"x": op.x, "pad": pad_widths(op), "mode": "constant", "constant_val": op.value})


def _reshaped(op: Regrouping, e: FunctionEmitter) -> None:
    check_rank(op.result)
    if op.result.type.shape == op.x.type.shape and not e.is_output(op.result):
        e.alias(op.result, e.ref(op.x))  # only the roles of the axes change
    elif op.result.type.rank == 0:  # a list of no extents has no element type
        e.emit(op, "squeeze", {"x": op.x, "axes": list(range(op.x.type.rank))})
    else:
        e.emit(op, "reshape", {"x": op.x, "shape": op.result.type.shape})


RULES.of(Reshape)(_reshaped)


@RULES.of(SplitChannels, MergeChannels)
def _regrouped(op: Regrouping, e: FunctionEmitter) -> None:
    check_order_kept(op)
    _reshaped(op, e)


@RULES.of(Transpose)
def _transpose(op: Transpose, e: FunctionEmitter) -> None:
    e.emit(op, "transpose", {"x": op.x, "perm": op.order})


@RULES.of(Reverse)
def _reverse(op: Reverse, e: FunctionEmitter) -> None:
    e.emit(op, "reverse", {"x": op.x, "axes": [op.position]})
