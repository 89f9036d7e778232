"""Elementwise ops. Core AI has no negation, square, reciprocal, clamp or softplus: those are composed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from coreai import authoring as ca

from mctc.emit.rules import Rules
from mctc.ir.ops.comparison import Comparison, Equal, Greater
from mctc.ir.ops.elementwise import Binary, Cast, Clip, Scale, Unary
from mctc.ir.types import DType
from mctc.passes.numbers.half import LARGEST
from mctc.targets.coreai.function import FunctionEmitter, Result
from mctc.targets.coreai.rules.merged import meets_too_much

Form = Callable[[ca.Value, FunctionEmitter], ca.Value]
Meeting = Callable[[ca.Value, ca.Value], ca.Value]

# Terms of 2 atanh(s) = 2 (s + s^3/3 + s^5/5 + ...), for s up to 1/3, that fp16 and fp32 can tell from the whole series.
SERIES = {np.float16: 4, np.float32: 8}


def times(x: ca.Value, y: ca.Value) -> ca.Value:
    """The product of two tensors of equally many axes, or of a tensor and a number."""
    return ca.broadcasting_mul(x, y)


def plus(x: ca.Value, y: ca.Value) -> ca.Value:
    return ca.broadcasting_add(x, y)


def softplus(x: ca.Value, e: FunctionEmitter) -> ca.Value:
    """relu(x) + log(1 + u) with u = exp(-|x|), the logarithm as 2 atanh(u / (2 + u)).

    fp16 rounds 1 + u to steps of 1/1024, so log(1 + u) would lose the small results that a slow scan lives on.
    """
    u = ca.exp(times(ca.abs_(x), e.number(-1.0)))
    s = ca.divide(u, plus(u, e.number(2.0)))
    square = ca.mul(s, s)
    terms = SERIES[e.dtype]
    total = times(square, e.number(2 / (2 * terms - 1)))
    for term in range(terms - 2, 0, -1):
        total = ca.mul(plus(total, e.number(2 / (2 * term + 1))), square)
    return ca.add(ca.relu(x), ca.mul(plus(total, e.number(2.0)), s))


UNARY: dict[str, Form] = {
    "neg": lambda x, e: times(x, e.number(-1.0)),
    "exp": lambda x, e: ca.exp(x),
    "log": lambda x, e: ca.log(x),
    "sqrt": lambda x, e: ca.sqrt(x),
    "rsqrt": lambda x, e: ca.rsqrt(x),
    "reciprocal": lambda x, e: ca.broadcasting_divide(e.number(1.0), x),
    "abs": lambda x, e: ca.abs_(x),
    "square": lambda x, e: ca.mul(x, x),
    "tanh": lambda x, e: ca.tanh(x),
    "sin": lambda x, e: ca.sin(x),
    "cos": lambda x, e: ca.cos(x),
    "relu": lambda x, e: ca.relu(x),
    "sigmoid": lambda x, e: ca.sigmoid(x),
    "silu": lambda x, e: ca.silu(x),
    "gelu": lambda x, e: ca.gelu(x),
    "erf": lambda x, e: ca.erf(x),
    "softplus": softplus,
}
# Of operands of one shape, and of others.
BINARY: dict[str, tuple[Meeting, Meeting]] = {
    "add": (ca.add, ca.broadcasting_add),
    "sub": (ca.sub, ca.broadcasting_sub),
    "mul": (ca.mul, ca.broadcasting_mul),
    "div": (ca.divide, ca.broadcasting_divide),
    "maximum": (ca.maximum, ca.broadcasting_maximum),
    "minimum": (ca.minimum, ca.broadcasting_minimum),
}


def _unary(form: Form) -> Callable[[Unary, FunctionEmitter], Result]:
    return lambda op, e: form(e.ref(op.x), e)


def _binary(same: Meeting, broadcasting: Meeting) -> Callable[[Binary, FunctionEmitter], Result]:
    def rule(op: Binary, e: FunctionEmitter) -> Result:
        left, right = op.left, op.right
        alike = left.type.shape == right.type.shape == op.result.type.shape
        # coreai-core 1.0.0b3 makes mul(broadcasting_mul(x, number), vector) of one multiplication, by the number times
        # the vector's first entry; it takes nothing out of two broadcasting forms. By then it has computed what depends
        # on constants alone.
        plain = alike and not (e.is_fixed(left) or e.is_fixed(right))
        apart = meets_too_much(op) if e.dtype is np.float16 else None
        met = (kept_apart(x, e) if value is apart else x for x, value in zip(e.broadcast(op), (left, right)))
        return (same if plain else broadcasting)(*met)

    return rule


def kept_apart(x: ca.Value, e: FunctionEmitter) -> ca.Value:
    """A tensor as it is, behind what its constants are not merged through."""
    return ca.broadcasting_minimum(x, e.number(LARGEST))


RULES = Rules[FunctionEmitter, Result](
    {name: _unary(form) for name, form in UNARY.items()} | {name: _binary(*forms) for name, forms in BINARY.items()}
)


@RULES.of(Greater, Equal)
def _comparison(op: Comparison, e: FunctionEmitter) -> Result:
    compare = ca.broadcasting_greater if isinstance(op, Greater) else ca.broadcasting_equal
    return ca.cast(compare(*e.broadcast(op)), e.dtype)


@RULES.of(Scale)
def _scale(op: Scale, e: FunctionEmitter) -> Result:
    x = e.ref(op.x)
    if e.dtype is np.float16 and meets_too_much(op) is not None:
        x = kept_apart(x, e)
    scaled = x if op.factor == 1 else times(x, e.number(op.factor))
    return scaled if op.offset == 0 else plus(scaled, e.number(op.offset))


@RULES.of(Clip)
def _clip(op: Clip, e: FunctionEmitter) -> Result:
    low, high = e.number(op.low), e.number(op.high)
    return ca.broadcasting_minimum(ca.broadcasting_maximum(e.ref(op.x), low), high)


@RULES.of(Cast)
def _cast(op: Cast, e: FunctionEmitter) -> Result:
    x, want = e.ref(op.x), op.result.type.dtype
    if op.x.type.dtype.is_float and want.is_float:
        return x
    return ca.cast(x, {DType.I32: np.int32, DType.BOOL: np.bool_}.get(want, e.dtype))
