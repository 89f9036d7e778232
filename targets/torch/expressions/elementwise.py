"""Elementwise ops: unary and binary from tables, arithmetic with numbers, and casts."""

from __future__ import annotations

from mctc.emit.rules import Rules
from mctc.ir.ops.broadcast import broadcast_axes
from mctc.ir.ops.comparison import Comparison, Equal, Greater
from mctc.ir.ops.elementwise import Binary, Cast, Clip, Maximum, Minimum, Neg, Scale, Unary
from mctc.ir.ops.quantize import FakeQuantize
from mctc.ir.types import Axis, DType, Role, TensorType
from mctc.targets.torch.expressions.application import Application
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
    "erf": "torch.erf",
    "softplus": "F.softplus",
}
SIGNS = {
    "add": ("+", Binds.SUM),
    "sub": ("-", Binds.SUM),
    "mul": ("*", Binds.PRODUCT),
    "div": ("/", Binds.PRODUCT),
}
DTYPES = {DType.F32: "torch.float32", DType.F16: "torch.float32", DType.I32: "torch.int32", DType.BOOL: "torch.bool"}


def _unary(op: Unary, use: Application) -> Expression:
    return call(named(UNARY[op.name]), use["x"])


def _arithmetic(op: Binary, use: Application) -> Expression:
    sign, binds = SIGNS[op.name]
    left, right = met(op, use)
    return binary(left, sign, right, binds)


RULES = Rules[Application, Expression]({**dict.fromkeys(UNARY, _unary), **dict.fromkeys(SIGNS, _arithmetic)})


@RULES.of(Neg)
def _negative(op: Neg, use: Application) -> Expression:
    return negative(use["x"])


@RULES.of(Maximum, Minimum)
def _extreme(op: Binary, use: Application) -> Expression:
    return call(named(f"torch.{op.name}"), *met(op, use))


@RULES.of(Greater)
def _greater(op: Greater, use: Application) -> Expression:
    return call(named("torch.sign"), call(named("F.relu"), difference(op, use)))


@RULES.of(Equal)
def _equal(op: Equal, use: Application) -> Expression:
    return binary(number(1), "-", call(named("torch.sign"), difference(op, use)).method("abs"), Binds.SUM)


def difference(op: Comparison, use: Application) -> Expression:
    """left - right, whose sign says how they compare, in the precision that they have: a truth value has none."""
    left, right = met(op, use)
    return binary(left, "-", right, Binds.SUM)


def met(op: Binary, use: Application) -> tuple[Expression, Expression]:
    """Both operands so that broadcasting by position does what the IR's does by role."""
    left, right = op.left.type, op.right.type
    axes = broadcast_axes(left, right)
    return _spread(use["left"], left, axes), _spread(use["right"], right, axes)


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


@RULES.of(Scale)
def _scale(op: Scale, use: Application) -> Expression:
    x, factor, offset = use["x"], op.factor, op.offset
    if factor == -1 and offset:
        return binary(number(offset), "-", x, Binds.SUM)
    y = {1.0: x, -1.0: negative(x)}.get(factor) or binary(number(factor), "*", x, Binds.PRODUCT)
    if not offset:
        return y
    return binary(y, "-" if offset < 0 else "+", number(abs(offset)), Binds.SUM)


@RULES.of(Clip)
def _clip(op: Clip, use: Application) -> Expression:
    return use["x"].method("clamp", number(op.low), number(op.high))


@RULES.of(FakeQuantize)
def _fake_quantize(op: FakeQuantize, use: Application) -> Expression:
    return call(named("fake_quantize"), use["x"], use["scale"])


@RULES.of(Cast)
def _cast(op: Cast, use: Application) -> Expression:
    """Between floating-point types nothing: autocast and the model's dtype set the precision, as in the IR."""
    have, want = op.x.type.dtype, op.dtype
    if have is want or (have.is_float and want.is_float):
        return use["x"]
    return use["x"].method("to", named(DTYPES[want]))
