"""Elementwise ops: a table of functions, and rules that Python's operators make the same in torch."""

from __future__ import annotations

from mctc.emit.rules import Rules
from mctc.ir.ops.elementwise import Binary, Cast, Clip, Maximum, Minimum, Unary
from mctc.ir.types import DType
from mctc.targets.torch.expressions import elementwise as shared
from mctc.targets.torch.expressions.application import Application
from mctc.targets.torch.expressions.text import Expression, call, named, number

UNARY = {
    "exp": "mx.exp",
    "log": "mx.log",
    "sqrt": "mx.sqrt",
    "rsqrt": "mx.rsqrt",
    "reciprocal": "mx.reciprocal",
    "abs": "mx.abs",
    "square": "mx.square",
    "tanh": "mx.tanh",
    "sin": "mx.sin",
    "cos": "mx.cos",
    "sigmoid": "mx.sigmoid",
    "relu": "nn.relu",
    "silu": "nn.silu",
    "gelu": "nn.gelu",
    "erf": "mx.erf",
    "softplus": "nn.softplus",
}
DTYPES = {DType.F32: "mx.float32", DType.F16: "mx.float32", DType.I32: "mx.int32", DType.BOOL: "mx.bool_"}
SHARED = (*shared.SIGNS, "neg", "scale")


def _unary(op: Unary, use: Application) -> Expression:
    return call(named(UNARY[op.name]), use["x"])


RULES = Rules[Application, Expression](
    {**dict.fromkeys(UNARY, _unary), **{name: shared.RULES[name] for name in SHARED}}
)


@RULES.of(Maximum, Minimum)
def _extreme(op: Binary, use: Application) -> Expression:
    return call(named(f"mx.{op.name}"), *shared.met(op, use))


@RULES.of(Clip)
def _clip(op: Clip, use: Application) -> Expression:
    return call(named("mx.clip"), use["x"], number(op.low), number(op.high))


@RULES.of(Cast)
def _cast(op: Cast, use: Application) -> Expression:
    """Between floating-point types nothing: the model's dtype sets the precision, as in the IR."""
    have, want = op.x.type.dtype, op.dtype
    if have is want or (have.is_float and want.is_float):
        return use["x"]
    return use["x"].method("astype", named(DTYPES[want]))
