"""Sums, products and logarithms of tensors and numbers that no function holds yet.

A term is a number, or a value: one of the program, or the result of an op that is made of such and belongs to no
function. What a form of a scan needs of them is emitted later (frames.py).
"""

from __future__ import annotations

import math

from mctc.ir.attribute_value import AttributeValue
from mctc.ir.build import make
from mctc.ir.location import Origin
from mctc.ir.op import Op
from mctc.ir.ops.elementwise import Add, Exp, Mul, Neg, Scale, Sigmoid, Softplus
from mctc.ir.ops.shape import Regrouping, Slice
from mctc.ir.value import Value

Term = Value | float


def apply(kind: type[Op], *operands: Value, **attributes: AttributeValue) -> Value:
    """The result of an op that belongs to no function."""
    return make(kind, operands, attributes, Origin()).results[0]


def times(a: Term, b: Term) -> Term:
    """a * b."""
    if isinstance(a, float):
        a, b = b, a
    if isinstance(b, float):
        if isinstance(a, float):
            return a * b
        return 0.0 if b == 0 else a if b == 1 else apply(Scale, a, factor=b)
    assert isinstance(a, Value)
    return apply(Mul, a, b)


def plus(a: Term, b: Term) -> Term:
    """a + b."""
    if isinstance(a, float):
        a, b = b, a
    if isinstance(b, float):
        if isinstance(a, float):
            return a + b
        return a if b == 0 else apply(Scale, a, offset=b)
    assert isinstance(a, Value)
    return apply(Add, a, b)


def logarithm(a: Term) -> Term | None:
    """log(a), as what a decay is made of; None where that is not known. A logistic function has -softplus(-x)."""
    if isinstance(a, float):
        return math.log(a) if a > 0 else None
    match a.owner:
        case Exp(x=x):
            return x
        case Sigmoid(x=x):
            return apply(Neg, apply(Softplus, apply(Neg, x)))
        case Mul(left=left, right=right):
            one, two = logarithm(left), logarithm(right)
            return None if one is None or two is None else plus(one, two)
        case Scale(x=x, factor=factor, offset=0.0) if factor > 0:
            inner = logarithm(x)
            return None if inner is None else plus(inner, math.log(factor))
        case (Regrouping() | Slice()) as moved:
            inner = logarithm(next(moved.present()))
            return apply(type(moved), inner, **moved.attributes) if isinstance(inner, Value) else inner
    return None
