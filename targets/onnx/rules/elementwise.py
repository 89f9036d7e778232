"""Elementwise ops: most are ONNX ops of another name."""

from __future__ import annotations

from collections.abc import Callable

from mctc.emit.rules import Rules
from mctc.ir.ops.broadcast import broadcast_axes, places
from mctc.ir.ops.comparison import Comparison, Equal, Greater
from mctc.ir.ops.elementwise import Binary, Cast, Clip, Rsqrt, Scale, Silu, Square, Unary
from mctc.ir.program import Value
from mctc.targets.onnx.graph import ELEMENTS, GraphEmitter, Result

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
    "erf": "Erf",
    "softplus": "Softplus",
}
BINARY = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "maximum": "Max", "minimum": "Min"}


def _unary(kind: str) -> Callable[[Unary, GraphEmitter], Result]:
    return lambda op, e: e.node(kind, e.ref(op.x))


def _binary(kind: str) -> Callable[[Binary, GraphEmitter], str]:
    return lambda op, e: e.node(kind, _met(op, op.left, e), _met(op, op.right, e))


def _met(op: Binary, value: Value, e: GraphEmitter) -> str:
    """The operand as ONNX, which broadcasts by position, has to see it."""
    placed = places(value.type, broadcast_axes(op.left.type, op.right.type))
    if placed is None:
        return e.ref(value)
    units = [axis for axis in range(value.type.rank) if axis not in placed]
    name = e.transposed(e.ref(value), [*units, *(axis for axis in placed if axis is not None)])
    name = e.node("Squeeze", name, e.ints(range(len(units)))) if units else name
    new = [position for position, axis in enumerate(placed) if axis is None]
    return e.node("Unsqueeze", name, e.ints(new)) if new else name


RULES = Rules[GraphEmitter, Result](
    {name: _unary(kind) for name, kind in UNARY.items()} | {name: _binary(kind) for name, kind in BINARY.items()}
)


@RULES.of(Rsqrt)
def _rsqrt(op: Unary, e: GraphEmitter) -> str:
    return e.node("Reciprocal", e.node("Sqrt", e.ref(op.x)))


@RULES.of(Square)
def _square(op: Unary, e: GraphEmitter) -> str:
    return e.node("Mul", e.ref(op.x), e.ref(op.x))


@RULES.of(Silu)
def _silu(op: Unary, e: GraphEmitter) -> str:
    return e.node("Mul", e.ref(op.x), e.node("Sigmoid", e.ref(op.x)))


@RULES.of(Greater, Equal)
def _comparison(op: Comparison, e: GraphEmitter) -> str:
    return e.cast(_binary(op.name.capitalize())(op, e), ELEMENTS[op.result.type.dtype])


@RULES.of(Scale)
def _scale(op: Scale, e: GraphEmitter) -> str:
    name, type_ = e.ref(op.x), op.result.type
    if op.factor != 1:
        name = e.node("Mul", name, e.number(op.factor, type_))
    return e.node("Add", name, e.number(op.offset, type_)) if op.offset != 0 else name


@RULES.of(Clip)
def _clip(op: Clip, e: GraphEmitter) -> str:
    low, high = (e.number(bound, op.result.type) for bound in (op.low, op.high))
    return e.node("Clip", e.ref(op.x), low, high)


@RULES.of(Cast)
def _cast(op: Cast, e: GraphEmitter) -> str:
    have, want = ELEMENTS[op.x.type.dtype], ELEMENTS[op.result.type.dtype]
    return e.ref(op.x) if have == want else e.cast(e.ref(op.x), want)
