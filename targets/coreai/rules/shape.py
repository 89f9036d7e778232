"""Ops that move data."""

from __future__ import annotations

import numpy as np
from coreai import authoring as ca

from mctc.build.names import place
from mctc.ir.op import axis_position
from mctc.ir.program import Op
from mctc.targets.coreai.errors import CoreAiError
from mctc.targets.coreai.function import FunctionEmitter, Result, Rule
from mctc.targets.coreai.rules.operands import operand, signed, unsigned

MOST_AXES = 5  # NE01


def _split(op: Op, e: FunctionEmitter) -> Result:
    axis, x = op.signature.axis("x"), e.ref(operand(op))
    sizes = [value.type.shape[axis] for value in op.results]
    return x if len(sizes) == 1 else ca.split(x, unsigned(sizes), signed(axis))


def _concat(op: Op, e: FunctionEmitter) -> Result:
    parts = [value for value in op.operands if value is not None]
    axis = axis_position(parts[0].type, op.attributes["axis"], "xs")
    return e.ref(parts[0]) if len(parts) == 1 else ca.concat(signed(axis), [e.ref(part) for part in parts])


def _slice(op: Op, e: FunctionEmitter) -> Result:
    s, x = op.signature, operand(op)
    axis, shape = s.axis("x"), list(x.type.shape)
    begin, end, stride = [0] * len(shape), list(shape), [1] * len(shape)
    begin[axis], stride[axis] = s.int("begin"), s.int("stride")
    end[axis] = shape[axis] if s.attribute("end") is None else s.int("end")
    return ca.slice_(e.ref(x), signed(begin), signed(end), signed(stride))


def _pad(op: Op, e: FunctionEmitter) -> Result:
    s, x = op.signature, operand(op)
    widths = [0] * (2 * x.type.rank)
    widths[2 * s.axis("x")], widths[2 * s.axis("x") + 1] = s.int("before"), s.int("after")
    return ca.pad(e.ref(x), unsigned(widths), e.number(s.float("value")))


def _reshape(op: Op, e: FunctionEmitter) -> Result:
    x, type_ = operand(op), op.result.type
    if type_.rank > MOST_AXES:
        raise CoreAiError(f"{place(op)}: {type_} has {type_.rank} axes, the Neural Engine's limit is {MOST_AXES}")
    return e.shaped(x, type_.shape)


def _regroup(op: Op, e: FunctionEmitter) -> Result:
    """split_channels and merge_channels where they keep the row-major order of entries, as laid-out types do."""
    x = operand(op)
    marks = np.arange(x.type.size).reshape(x.type.shape)
    (moved,) = op.definition.reference(op.signature, marks)
    if not np.array_equal(np.asarray(moved).ravel(), marks.ravel()):
        raise CoreAiError(f"{place(op)}: on {x.type} it moves entries, which takes a transpose")
    return _reshape(op, e)


def _transpose(op: Op, e: FunctionEmitter) -> Result:
    return ca.transpose(e.ref(operand(op)), unsigned(op.signature.ints("order")))


def _reverse(op: Op, e: FunctionEmitter) -> Result:
    return ca.reverse(e.ref(operand(op)), signed([op.signature.axis("x")]))


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
