"""Elementwise ops: most are ONNX ops of another name."""

from __future__ import annotations

from mctc.ir.ops.broadcast import broadcast_axes, places
from mctc.ir.ops.elementwise import Clip, Scale
from mctc.ir.program import Op, Value
from mctc.ir.types import Axis
from mctc.targets.onnx.graph import ELEMENTS, GraphEmitter, Rule

UNARY = {
    "neg": "Neg",
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "reciprocal": "Reciprocal",
    "abs": "Abs",
    "tanh": "Tanh",
    "sin": "Sin",
    "cos": "Cos",
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "gelu": "Gelu",  # exact unless it is told otherwise
    "softplus": "Softplus",
}
BINARY = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "maximum": "Max", "minimum": "Min"}


def _unary(kind: str) -> Rule:
    return lambda op, e: e.node(kind, e.ref(op.operands[0]))


def _binary(kind: str) -> Rule:
    def rule(op: Op, e: GraphEmitter) -> str:
        left, right = op.operands
        assert left is not None
        assert right is not None
        axes = broadcast_axes(left.type, right.type)
        return e.node(kind, _met(left, axes, e), _met(right, axes, e))

    return rule


def _met(value: Value, axes: tuple[Axis, ...], e: GraphEmitter) -> str:
    """The operand as ONNX, which broadcasts by position, has to see it."""
    placed = places(value.type, axes)
    if placed is None:
        return e.ref(value)
    units = [axis for axis in range(value.type.rank) if axis not in placed]
    name = e.transposed(e.ref(value), [*units, *(axis for axis in placed if axis is not None)])
    name = e.node("Squeeze", name, e.ints(range(len(units)))) if units else name
    new = [position for position, axis in enumerate(placed) if axis is None]
    return e.node("Unsqueeze", name, e.ints(new)) if new else name


def _rsqrt(op: Op, e: GraphEmitter) -> str:
    return e.node("Reciprocal", e.node("Sqrt", e.ref(op.operands[0])))


def _square(op: Op, e: GraphEmitter) -> str:
    x = e.ref(op.operands[0])
    return e.node("Mul", x, x)


def _silu(op: Op, e: GraphEmitter) -> str:
    x = e.ref(op.operands[0])
    return e.node("Mul", x, e.node("Sigmoid", x))


def _scale(op: Scale, e: GraphEmitter) -> str:
    name, type_ = e.ref(op.operands[0]), op.result.type
    factor, offset = op.factor, op.offset
    if factor != 1:
        name = e.node("Mul", name, e.number(factor, type_))
    return e.node("Add", name, e.number(offset, type_)) if offset != 0 else name


def _clip(op: Clip, e: GraphEmitter) -> str:
    low, high = (e.number(bound, op.result.type) for bound in (op.low, op.high))
    return e.node("Clip", e.ref(op.operands[0]), low, high)


def _cast(op: Op, e: GraphEmitter) -> str:
    x = op.operands[0]
    assert x is not None
    have, want = ELEMENTS[x.type.dtype], ELEMENTS[op.result.type.dtype]
    return e.ref(x) if have == want else e.cast(e.ref(x), want)


RULES: dict[str, Rule] = {
    **{name: _unary(kind) for name, kind in UNARY.items()},
    **{name: _binary(kind) for name, kind in BINARY.items()},
    "rsqrt": _rsqrt,
    "square": _square,
    "silu": _silu,
    "scale": _scale,
    "clip": _clip,
    "cast": _cast,
}
