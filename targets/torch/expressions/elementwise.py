"""Elementwise ops: unary and binary from tables, arithmetic with numbers, and casts."""

from __future__ import annotations

from mctc.ir.ops.broadcast import broadcast_axes
from mctc.ir.types import Axis, DType, Role, TensorType
from mctc.targets.torch.expressions.application import Application, Rule
from mctc.targets.torch.expressions.text import Binds, Expression, binary, call, named, negative, number

UNARY = {
    "exp": "torch.exp",
    "log": "torch.log",
    "sqrt": "torch.sqrt",
    "rsqrt": "torch.rsqrt",
    "reciprocal": "torch.reciprocal",
    "abs": "torch.abs",
    "square": "torch.square",
    "tanh": "torch.tanh",
    "sin": "torch.sin",
    "cos": "torch.cos",
    "sigmoid": "torch.sigmoid",
    "relu": "F.relu",
    "silu": "F.silu",
    "gelu": "F.gelu",
    "softplus": "F.softplus",
}
SIGNS = {
    "add": ("+", Binds.SUM),
    "sub": ("-", Binds.SUM),
    "mul": ("*", Binds.PRODUCT),
    "div": ("/", Binds.PRODUCT),
}
DTYPES = {DType.F32: "torch.float32", DType.F16: "torch.float32", DType.I32: "torch.int32", DType.BOOL: "torch.bool"}


def _unary(use: Application) -> Expression:
    return call(named(UNARY[use.op.name]), use["x"])


def _negative(use: Application) -> Expression:
    return negative(use["x"])


def _arithmetic(use: Application) -> Expression:
    sign, binds = SIGNS[use.op.name]
    left, right = _met(use)
    return binary(left, sign, right, binds)


def _extreme(use: Application) -> Expression:
    return call(named(f"torch.{use.op.name}"), *_met(use))


def _met(use: Application) -> tuple[Expression, Expression]:
    """Both operands so that torch's broadcasting by position does what the IR's does by role."""
    types = use.type("left"), use.type("right")
    axes = broadcast_axes(*types)
    left, right = (_spread(use[name], type_, axes) for name, type_ in zip(("left", "right"), types))
    return left, right


def _spread(x: Expression, type_: TensorType, axes: tuple[Axis, ...]) -> Expression:
    """x with its axes in the order of `axes`, and one of extent 1 for each that it lacks."""
    loose = {Role.UNIT, Role.PLAIN}
    fits = all(a.role is b.role or {a.role, b.role} & loose for a, b in zip(type_.axes, axes))
    if Role.PLAIN in type_.roles or type_.rank == 0 or (type_.rank == len(axes) and fits):
        return x
    wanted = [axis.role for axis in axes]
    order = sorted(range(type_.rank), key=lambda i: wanted.index(type_.axes[i].role))
    if order != list(range(type_.rank)):
        x = x.method("permute", *order)
    have = [role for role in wanted if role in type_.roles]
    missing = range(wanted.index(have[0]) + 1, len(wanted))  # leading axes need no place
    index = [":"] + [":" if wanted[i] in have else "None" for i in missing]
    return Expression(f"{x.atom}[{', '.join(index)}]", x.imports) if "None" in index else x


def _scale(use: Application) -> Expression:
    x, factor, offset = use["x"], float(use.attribute("factor")), float(use.attribute("offset"))
    if factor == -1 and offset:
        return binary(number(offset), "-", x, Binds.SUM)
    y = {1.0: x, -1.0: negative(x)}.get(factor) or binary(number(factor), "*", x, Binds.PRODUCT)
    if not offset:
        return y
    return binary(y, "-" if offset < 0 else "+", number(abs(offset)), Binds.SUM)


def _clip(use: Application) -> Expression:
    return use["x"].method("clamp", number(use.attribute("low")), number(use.attribute("high")))


def _cast(use: Application) -> Expression:
    """Between floating-point types nothing: autocast and the model's dtype set the precision, as in the IR."""
    have, want = use.type("x").dtype, DType(use.attribute("dtype"))
    if have is want or (have.is_float and want.is_float):
        return use["x"]
    return use["x"].method("to", named(DTYPES[want]))


ELEMENTWISE: dict[str, Rule] = {
    **dict.fromkeys(UNARY, _unary),
    **dict.fromkeys(SIGNS, _arithmetic),
    "neg": _negative,
    "maximum": _extreme,
    "minimum": _extreme,
    "scale": _scale,
    "clip": _clip,
    "cast": _cast,
}
