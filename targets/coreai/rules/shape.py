"""Ops that move data."""

from __future__ import annotations

import numpy as np
from coreai import authoring as ca

from mctc.driver.names import place
from mctc.ir.ops.shape import Concat, MergeChannels, Pad, Reshape, Reverse, Slice, Split, SplitChannels, Transpose
from mctc.targets.coreai.errors import CoreAiError
from mctc.targets.coreai.function import FunctionEmitter, Result, Rule
from mctc.targets.coreai.rules.operands import signed, unsigned

MOST_AXES = 5  # NE01


def _split(op: Split, e: FunctionEmitter) -> Result:
    axis, x = op.position, e.ref(op.x)
    sizes = [value.type.shape[axis] for value in op.results]
    return x if len(sizes) == 1 else ca.split(x, unsigned(sizes), signed(axis))


def _concat(op: Concat, e: FunctionEmitter) -> Result:
    parts = op.xs
    return e.ref(parts[0]) if len(parts) == 1 else ca.concat(signed(op.position), [e.ref(part) for part in parts])


def _slice(op: Slice, e: FunctionEmitter) -> Result:
    x, axis = op.x, op.position
    shape = list(x.type.shape)
    begin, end, stride = [0] * len(shape), list(shape), [1] * len(shape)
    begin[axis], stride[axis] = op.begin, op.stride
    end[axis] = shape[axis] if op.end is None else op.end
    return ca.slice_(e.ref(x), signed(begin), signed(end), signed(stride))


def _pad(op: Pad, e: FunctionEmitter) -> Result:
    x = op.x
    widths = [0] * (2 * x.type.rank)
    widths[2 * op.position], widths[2 * op.position + 1] = op.before, op.after
    return ca.pad(e.ref(x), unsigned(widths), e.number(op.value))


def _reshape(op: Reshape | SplitChannels | MergeChannels, e: FunctionEmitter) -> Result:
    x, type_ = op.x, op.result.type
    if type_.rank > MOST_AXES:
        raise CoreAiError(f"{place(op)}: {type_} has {type_.rank} axes, the Neural Engine's limit is {MOST_AXES}")
    return e.shaped(x, type_.shape)


def _regroup(op: SplitChannels | MergeChannels, e: FunctionEmitter) -> Result:
    """split_channels and merge_channels where they keep the row-major order of entries, as laid-out types do."""
    x = op.x
    marks = np.arange(x.type.size).reshape(x.type.shape)
    (moved,) = op.reference(marks)
    if not np.array_equal(np.asarray(moved).ravel(), marks.ravel()):
        raise CoreAiError(f"{place(op)}: on {x.type} it moves entries, which takes a transpose")
    return _reshape(op, e)


def _transpose(op: Transpose, e: FunctionEmitter) -> Result:
    return ca.transpose(e.ref(op.x), unsigned(op.order))


def _reverse(op: Reverse, e: FunctionEmitter) -> Result:
    return ca.reverse(e.ref(op.x), signed([op.position]))


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
