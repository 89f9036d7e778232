"""Ops that move data."""

from __future__ import annotations

from coreai import authoring as ca

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
from mctc.targets.coreai.function import FunctionEmitter, Result
from mctc.targets.coreai.rules.operands import signed, unsigned

RULES = Rules[FunctionEmitter, Result]()


@RULES.of(Split)
def _split(op: Split, e: FunctionEmitter) -> Result:
    axis, x = op.position, e.ref(op.x)
    sizes = [value.type.shape[axis] for value in op.results]
    return x if len(sizes) == 1 else ca.split(x, unsigned(sizes), signed(axis))


@RULES.of(Concat)
def _concat(op: Concat, e: FunctionEmitter) -> Result:
    parts = op.xs
    return e.ref(parts[0]) if len(parts) == 1 else ca.concat(signed(op.position), [e.ref(part) for part in parts])


@RULES.of(Slice)
def _slice(op: Slice, e: FunctionEmitter) -> Result:
    bounds = bounds_of(op)
    return ca.slice_(e.ref(op.x), signed(bounds.begin), signed(bounds.end), signed(bounds.stride))


@RULES.of(Pad)
def _pad(op: Pad, e: FunctionEmitter) -> Result:
    return ca.pad(e.ref(op.x), unsigned(pad_widths(op)), e.number(op.value))


def _reshaped(op: Regrouping, e: FunctionEmitter) -> Result:
    check_rank(op.result)
    return e.shaped(op.x, op.result.type.shape)


RULES.of(Reshape)(_reshaped)


@RULES.of(SplitChannels, MergeChannels)
def _regrouped(op: Regrouping, e: FunctionEmitter) -> Result:
    check_order_kept(op)
    return _reshaped(op, e)


@RULES.of(Transpose)
def _transpose(op: Transpose, e: FunctionEmitter) -> Result:
    return ca.transpose(e.ref(op.x), unsigned(op.order))


@RULES.of(Reverse)
def _reverse(op: Reverse, e: FunctionEmitter) -> Result:
    return ca.reverse(e.ref(op.x), signed([op.position]))
