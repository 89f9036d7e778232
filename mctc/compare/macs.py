"""Multiply-accumulates of an op, by its definition: whatever a pass makes of it, and whatever is masked.

Counted are products that are summed: of convolutions, projections, matrix products, attention, scans and recurrent
cells. Everything elementwise, norms, softmax and look-ups in tables count nothing, as in torch.utils.flop_counter,
which gives twice these figures. Attention counts every pair of a query and a key that it is given, seen or not. A scan
counts three for each entry of its state and frame: the decayed state, the product of input and B that is added to it,
and the product with C; and one for each channel that skips it (D).
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from mctc.ir.ops.ssd import Sizes
from mctc.ir.program import Op, Value
from mctc.ir.types import TensorType

PER_STATE = 3  # products for an entry of a scan's state and a frame


def macs(op: Op) -> int:
    """Multiply-accumulates of an op of static types; 0 for one that only moves, looks up or works entry by entry."""
    count = COUNTS.get(op.name)
    return 0 if count is None else count(op)


def _type(op: Op, operand: str) -> TensorType:
    value = op.operand(operand)
    assert isinstance(value, Value)
    return value.type


def _linear(op: Op) -> int:
    return op.result.type.size * _type(op, "weight").shape[1]


def _convolution(op: Op) -> int:
    """Weight [out, in/groups, kernel, ...]: every entry of the result is a sum over all but the first axis."""
    return op.result.type.size * prod(_type(op, "weight").shape[1:])


def _matmul(op: Op) -> int:
    shape = _type(op, "left").shape
    return op.result.type.size * shape[-2 if op.attributes["transpose_left"] else -1]


def _keys(op: Op) -> int:
    type_ = _type(op, "k")
    assert type_.sequence is not None
    return type_.shape[type_.sequence]


def _attention(op: Op) -> int:
    """Scores of all pairs, and sums of values by them; query heads that share keys count one by one."""
    return _keys(op) * (_type(op, "q").size + op.result.type.size)


def _relative_attention(op: Op) -> int:
    """Scores by content and by distance, and the sums; the projected sinusoids are constants of the weights."""
    return _keys(op) * (2 * _type(op, "q").size + op.result.type.size)


def _skipped(op: Op) -> int:
    return 0 if op.operand("D") is None else op.result.type.size


def _selective_scan(op: Op) -> int:
    return PER_STATE * op.result.type.size * _type(op, "A").shape[1] + _skipped(op)


def _ssd(op: Op) -> int:
    return PER_STATE * op.result.type.size * Sizes.of(op.signature).states + _skipped(op)


def _cell(op: Op) -> int:
    """Both matrices of gates, once a frame."""
    hidden = _type(op, "weight_hh").shape[1]
    return op.result.type.size // hidden * (_type(op, "weight_ih").size + _type(op, "weight_hh").size)


COUNTS: dict[str, Callable[[Op], int]] = {
    "linear": _linear,
    "conv1d": _convolution,
    "conv2d": _convolution,
    "matmul": _matmul,
    "attention": _attention,
    "relative_attention": _relative_attention,
    "selective_scan": _selective_scan,
    "ssd": _ssd,
    "lstm": _cell,
    "gru": _cell,
}
