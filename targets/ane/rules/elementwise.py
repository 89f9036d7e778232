"""Elementwise ops: most are MIL operations of another name."""

from __future__ import annotations

from typing import Any

import numpy as np

from mctc.driver.names import place
from mctc.ir.ops.broadcast import broadcast_axes, spread
from mctc.ir.program import Op, Value
from mctc.ir.types import Role
from mctc.targets.ane.errors import EmitError
from mctc.targets.ane.function import FunctionEmitter, Name, Rule

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
}
BINARY = {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "div": "real_div",
    "maximum": "maximum",
    "minimum": "minimum",
}
CAST = {"f32": "fp16", "f16": "fp16", "i32": "int32", "bool": "bool"}


def _unary(kind: str, constants: dict[str, Any]) -> Rule:
    def rule(op: Op, e: FunctionEmitter) -> None:
        e.emit(op, kind, {"x": e.ref(_operand(op, 0)), **constants})

    return rule


def _binary(kind: str) -> Rule:
    def rule(op: Op, e: FunctionEmitter) -> None:
        left, right = (_fitted(op, _operand(op, i), e) for i in (0, 1))
        e.emit(op, kind, {"x": left, "y": right})

    return rule


def _operand(op: Op, index: int) -> Value:
    value = op.operands[index]
    assert value is not None
    return value


def _fitted(op: Op, value: Value, e: FunctionEmitter) -> Name:
    """The operand, reshaped where the IR broadcasts by role and MIL by position."""
    axes = broadcast_axes(*(_operand(op, i).type for i in (0, 1)))
    shape = value.type.shape
    marks = np.arange(value.type.size).reshape(shape)
    fitted = spread(marks, value.type, axes)
    positional = Role.PLAIN in value.type.roles or fitted.shape == shape or _is_tail(shape, fitted.shape)
    if positional:
        return e.ref(value)
    if not np.array_equal(fitted.ravel(), marks.ravel()):
        raise EmitError(f"{place(op)}: {value.type} needs a transpose before it meets the other operand")
    return e.step(op, "reshape", {"x": value, "shape": fitted.shape}, fitted.shape)


def _is_tail(shape: tuple[int, ...], fitted: tuple[int, ...]) -> bool:
    """Whether MIL's own broadcasting (ones in front) gives `fitted`."""
    return (1,) * (len(fitted) - len(shape)) + shape == fitted


def _scale(op: Op, e: FunctionEmitter) -> None:
    x, factor, offset = _operand(op, 0), op.attributes["factor"], op.attributes["offset"]
    if factor == 1 and offset == 0:
        e.emit(op, "identity", {"x": x})
    elif offset == 0:
        e.emit(op, "mul", {"x": x, "y": float(factor)})
    elif factor == 1:
        e.emit(op, "add", {"x": x, "y": float(offset)})
    else:
        scaled = e.step(op, "mul", {"x": x, "y": float(factor)}, x.type.shape)
        e.emit(op, "add", {"x": scaled, "y": float(offset)})


def _softplus(op: Op, e: FunctionEmitter) -> None:
    """The larger of softplus(x) and x: the engine's is 0 from 10.4 on (ANE-NM-016), a right one never less than x."""
    x = _operand(op, 0)
    e.emit(op, "maximum", {"x": e.step(op, "softplus", {"x": x}, x.type.shape), "y": x})


def _clip(op: Op, e: FunctionEmitter) -> None:
    low, high = float(op.attributes["low"]), float(op.attributes["high"])
    e.emit(op, "clip", {"x": _operand(op, 0), "alpha": low, "beta": high})


def _cast(op: Op, e: FunctionEmitter) -> None:
    source, target = _operand(op, 0).type.dtype, op.result.type.dtype
    if source.is_float and target.is_float:
        e.emit(op, "identity", {"x": _operand(op, 0)})
    else:
        e.emit(op, "cast", {"x": _operand(op, 0), "dtype": CAST[target.value]})


RULES: dict[str, Rule] = {
    **{name: _unary(kind, constants) for name, (kind, constants) in UNARY.items()},
    **{name: _binary(kind) for name, kind in BINARY.items()},
    "scale": _scale,
    "softplus": _softplus,
    "clip": _clip,
    "cast": _cast,
}
