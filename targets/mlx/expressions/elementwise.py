"""Elementwise ops: a table of functions. What Python's operators write is written as for torch."""

from __future__ import annotations

from mctc.emit.rules import Rules
from mctc.ir.ops.comparison import Equal, Greater
from mctc.ir.ops.elementwise import Binary, Cast, Maximum, Minimum, Unary
from mctc.ir.ops.quantize import FakeQuantize
from mctc.ir.types import DType
from mctc.targets.torch.expressions import elementwise as shared
from mctc.targets.torch.expressions.application import Application
from mctc.targets.torch.expressions.text import Binds, Expression, binary, call, named, number

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


def _unary(op: Unary, use: Application) -> Expression:
    return call(named(UNARY[op.name]), use["x"])


RULES = Rules[Application, Expression](dict.fromkeys(UNARY, _unary))


@RULES.of(Maximum, Minimum)
def _extreme(op: Binary, use: Application) -> Expression:
    return call(named(f"mx.{op.name}"), *shared.met(op, use))


@RULES.of(Greater)
def _greater(op: Greater, use: Application) -> Expression:
    return call(named("mx.sign"), call(named("nn.relu"), shared.difference(op, use)))


@RULES.of(Equal)
def _equal(op: Equal, use: Application) -> Expression:
    distance = call(named("mx.abs"), shared.difference(op, use))
    return binary(number(1), "-", call(named("mx.sign"), distance), Binds.SUM)


@RULES.of(FakeQuantize)
def _fake_quantize(op: FakeQuantize, use: Application) -> Expression:
    return call(named("fake_quantize"), use["x"], use["scale"])


@RULES.of(Cast)
def _cast(op: Cast, use: Application) -> Expression:
    """Between floating-point types nothing: the model's dtype sets the precision, as in the IR."""
    have, want = op.x.type.dtype, op.dtype
    if have is want or (have.is_float and want.is_float):
        return use["x"]
    return Expression.method(use["x"], "astype", named(DTYPES[want]))
