"""Elementwise ops: most are MIL operations of another name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mctc.emit.laid_out import met_shape
from mctc.emit.rules import Rules
from mctc.ir.ops.comparison import Comparison, Equal, Greater
from mctc.ir.ops.elementwise import Binary, Cast, Clip, Scale, Softplus, Unary
from mctc.ir.program import Value
from mctc.targets.ane.function import FunctionEmitter, Name

# IR op -> MIL operation and its constant operands. Epsilons are 0: the IR's definitions have none.
UNARY: dict[str, tuple[str, dict[str, Any]]] = {
    "neg": ("mul", {"y": -1.0}),
    "exp": ("exp", {}),
    "log": ("log", {"epsilon": 0.0}),
    "sqrt": ("sqrt", {}),
    "rsqrt": ("rsqrt", {"epsilon": 0.0}),
    "reciprocal": ("inverse", {"epsilon": 0.0}),
    "abs": ("abs", {}),
    "square": ("square", {}),
    "tanh": ("tanh", {}),
    "sin": ("sin", {}),
    "cos": ("cos", {}),
    "relu": ("relu", {}),
    "sigmoid": ("sigmoid", {}),
    "silu": ("silu", {}),
    "gelu": ("gelu", {"mode": "EXACT"}),
    "erf": ("erf", {}),
}
BINARY = {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "div": "real_div",
    "maximum": "maximum",
    "minimum": "minimum",
}


def _unary(kind: str, constants: dict[str, Any]) -> Callable[[Unary, FunctionEmitter], None]:
    return lambda op, e: e.emit(op, kind, {"x": e.ref(op.x), **constants})


def _binary(kind: str) -> Callable[[Binary, FunctionEmitter], None]:
    return lambda op, e: e.emit(op, kind, {"x": _met(op, op.left, e), "y": _met(op, op.right, e)})


def _met(op: Binary, value: Value, e: FunctionEmitter) -> Name:
    """The operand, reshaped where MIL's own broadcasting, which puts ones in front, does not do it."""
    shape, met = value.type.shape, met_shape(op, value)
    if met == (1,) * (len(met) - len(shape)) + shape:
        return e.ref(value)
    return e.step(op, "reshape", {"x": value, "shape": met}, met)


RULES = Rules[FunctionEmitter, None](
    {name: _unary(kind, constants) for name, (kind, constants) in UNARY.items()}
    | {name: _binary(kind) for name, kind in BINARY.items()}
)


@RULES.of(Greater, Equal)
def _comparison(op: Comparison, e: FunctionEmitter) -> None:
    """MIL's comparisons give truth values: they become numbers at once, since masks are factors."""
    met = {"x": _met(op, op.left, e), "y": _met(op, op.right, e)}
    holds = e.step(op, op.name, met, op.result.type.shape, "bool")
    e.emit(op, "cast", {"x": holds, "dtype": e.element(op)})


@RULES.of(Scale)
def _scale(op: Scale, e: FunctionEmitter) -> None:
    x, factor, offset = op.x, op.factor, op.offset
    if factor == 1 and offset == 0:
        e.emit(op, "identity", {"x": x})
    elif offset == 0:
        e.emit(op, "mul", {"x": x, "y": factor})
    elif factor == 1:
        e.emit(op, "add", {"x": x, "y": offset})
    else:
        e.emit(op, "add", {"x": e.step(op, "mul", {"x": x, "y": factor}, x.type.shape), "y": offset})


SOFTPLUS_RISES_TO = 10.0


@RULES.of(Softplus)
def _softplus(op: Unary, e: FunctionEmitter) -> None:
    """The larger of softplus(x) and x: the engine's is 0 from 10.4 on (ANE-NM-016), a right one never less than x.
    Where x is clipped below that, the op alone."""
    if isinstance(op.x.owner, Clip) and op.x.owner.high <= SOFTPLUS_RISES_TO:
        e.emit(op, "softplus", {"x": op.x})
        return
    e.emit(op, "maximum", {"x": e.step(op, "softplus", {"x": op.x}, op.x.type.shape), "y": op.x})


@RULES.of(Clip)
def _clip(op: Clip, e: FunctionEmitter) -> None:
    e.emit(op, "clip", {"x": op.x, "alpha": op.low, "beta": op.high})


@RULES.of(Cast)
def _cast(op: Cast, e: FunctionEmitter) -> None:
    have, want = op.x.type.dtype, op.result.type.dtype
    if have.is_float and want.is_float:
        e.emit(op, "identity", {"x": op.x})
    else:
        e.emit(op, "cast", {"x": op.x, "dtype": e.element(op)})
