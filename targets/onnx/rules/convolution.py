"""Convolutions: ONNX's run over (batch, channel, ...spatial axes)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mctc.ir.dims import Extent
from mctc.ir.op import Signature
from mctc.ir.ops.convolution import height_axis, width_axis
from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.shape import product
from mctc.ir.program import Op
from mctc.targets.onnx.graph import GraphEmitter, Rule
from mctc.targets.onnx.rules.axes import arranged, inverse, order_to


def _conv1d(op: Op, e: GraphEmitter) -> str:
    s, time = op.signature, op.signature["x"].sequence
    assert time is not None
    return _convolved(op, e, [channel_axis(s, "x"), time], _each(s, 1), s.ints("pad"))


def _conv2d(op: Op, e: GraphEmitter) -> str:
    s = op.signature
    (top, bottom), (left, right) = s.ints("pad_feature"), s.ints("pad")
    axes = [channel_axis(s, "x"), height_axis(s), width_axis(s)]
    return _convolved(op, e, axes, _each(s, 2), (top, left, bottom, right))


def _each(s: Signature, count: int) -> dict[str, Any]:
    """Strides and dilations, one for each spatial axis."""
    return {
        f"{name}s": s.ints(name) if isinstance(s.attribute(name), tuple) else [s.int(name)] * count
        for name in ("stride", "dilation")
    }


def _convolved(op: Op, e: GraphEmitter, axes: Sequence[int], each: dict[str, Any], pads: Sequence[int]) -> str:
    """Conv along `axes` (channel first); all others are its batch."""
    x, weight, bias = op.operands
    assert x is not None
    order = order_to(x.type.rank, axes, range(-len(axes), 0))
    name, have = e.transposed(e.ref(x), order), arranged(x.type.extents, order)
    lead, spatial = have[: -len(axes)], have[-len(axes) :]
    name = e.reshaped(name, have, [product(lead), *spatial])
    inputs = [name, e.ref(weight), *([] if bias is None else [e.ref(bias)])]
    y = e.node("Conv", *inputs, group=op.signature.int("groups"), pads=pads, **each)
    out: list[Extent] = arranged(op.result.type.extents, order)
    return e.transposed(e.reshaped(y, [product(lead), *out[-len(axes) :]], out), inverse(order))


RULES: dict[str, Rule] = {"conv1d": _conv1d, "conv2d": _conv2d}
